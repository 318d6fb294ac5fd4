//! `GET /v1/records/count`.

use jobledger::counts::{Bucket, Group, MAX_RECORD_PAIRS, Place};
use jobledger::domain::{RecordKind, RecordStatus};
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::refuses;
use jobledger_tests::stored::tables;
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

async fn count(service: &Service, query: &str) -> Value {
    service.get(&format!("/v1/records/count?{query}")).expect(200).await.json
}

#[track_caller]
fn put(service: &Service, name: &str, status: Option<&str>) -> impl Future<Output = Reply> {
    let call = service.call("PUT", &format!("/v1/records/{name}")).json(&json!({ "status": status })).send();
    async move {
        let reply = call.await;
        assert!([200, 201].contains(&reply.status), "{}", reply.text);
        reply
    }
}

/// Sources in several statuses, extractions, and entities without one.
async fn fill(service: &Service) {
    for (name, status) in [
        ("source/1", Some("ready")),
        ("source/2", Some("ready")),
        ("source/3", Some("stale")),
        ("source/4", None),
        ("extraction/1", Some("ready")),
        ("extraction/2", Some("failed")),
        ("entity/1", None),
        ("entity/2", None),
        ("entity/3", None),
    ] {
        put(service, name, status).await;
    }
    service.settled().await;
}

fn nothing() -> Value {
    json!({ "total": 0, "total_kind": "exact", "by_kind": {}, "by_status": {}, "items": [] })
}

#[tokio::test]
async fn records_are_counted_by_kind_and_by_status() {
    let service = Service::start().await;
    fill(&service).await;
    let item = |kind: &str, status: Option<&str>, count: u64| json!({ "kind": kind, "status": status, "count": count });
    assert_eq!(
        count(&service, "").await,
        json!({
            "total": 9, "total_kind": "exact",
            "by_kind": { "source": 4, "extraction": 2, "entity": 3 },
            "by_status": { "ready": 3, "stale": 1, "failed": 1, "none": 4 },
            "items": [
                item("entity", None, 3),
                item("extraction", Some("failed"), 1),
                item("extraction", Some("ready"), 1),
                item("source", None, 1),
                item("source", Some("ready"), 2),
                item("source", Some("stale"), 1),
            ],
        })
    );
    for (query, total, items) in [
        ("kind=source", 4, 3),
        ("kind=source,extraction", 6, 5),
        // Kinds that sort between these two do not count.
        ("kind=source,entity", 7, 4),
        ("kind=source,source,nobody", 4, 3),
        ("kind=Source", 0, 0),
        ("kind=sourc", 0, 0),
        ("status=ready", 3, 2),
        ("status=none", 4, 2),
        ("status=ready,none", 7, 4),
        ("kind=source&status=none,stale", 2, 2),
        ("kind=entity&status=ready", 0, 0),
        ("owner=default", 9, 6),
    ] {
        let counted = count(&service, query).await;
        assert_eq!(counted["total"], json!(total), "{query}");
        assert_eq!(counted["items"].as_array().map(Vec::len), Some(items), "{query}");
        let sum = |name: &str| -> u64 {
            counted[name].as_object().expect("numbers").values().filter_map(Value::as_u64).sum()
        };
        assert_eq!((sum("by_kind"), sum("by_status")), (total, total), "{query}");
    }
    assert_eq!(count(&service, "kind=sourc").await, nothing());
}

#[tokio::test]
async fn counts_follow_every_change_of_a_record() {
    let service = Service::shared().await;
    fill(&service).await;
    let by_status = async |query: &str| {
        service.settled().await;
        count(&service, query).await["by_status"].clone()
    };
    // Repeating a put changes no number.
    put(&service, "source/1", Some("ready")).await;
    assert_eq!(by_status("kind=source").await, json!({ "ready": 2, "stale": 1, "none": 1 }));
    put(&service, "source/1", Some("stale")).await;
    put(&service, "source/4", Some("ready")).await;
    assert_eq!(by_status("kind=source").await, json!({ "ready": 2, "stale": 2 }));
    put(&service, "source/2", None).await;
    service.call("DELETE", "/v1/records/source/3").expect(200).await;
    assert_eq!(by_status("kind=source").await, json!({ "ready": 1, "stale": 1, "none": 1 }));
    for id in ["1", "2", "4"] {
        service.call("DELETE", &format!("/v1/records/source/{id}")).expect(200).await;
    }
    // A status without records does not appear.
    assert_eq!(by_status("kind=source").await, json!({}));
    assert_eq!(count(&service, "kind=source").await, nothing());
    assert_eq!(count(&service, "").await["total"], 5);
}

#[tokio::test]
async fn an_owner_without_records_has_no_counts() {
    let service = Service::start().await;
    assert_eq!(count(&service, "").await, nothing());
    add_key(&service, "reader", "other", &["read"], None).await;
    fill(&service).await;
    let call = |query: &str| {
        service.anonymous("GET", &format!("/v1/records/count?{query}")).header("x-api-key", "reader")
    };
    assert_eq!(call("").expect(200).await.json, nothing());
    call("owner=default").expect(403).await;
    service.call("PUT", "/v1/records/source/1?owner=other").expect(201).await;
    service.settled().await;
    assert_eq!(call("").expect(200).await.at("/total"), 1);
    assert_eq!(count(&service, "").await["total"], 9);
}

/// Jobs and records have separate counts, even if kinds have the names of types or statuses.
#[tokio::test]
async fn records_are_not_mixed_up_with_jobs() {
    let service = Service::start().await;
    for kind in ["total", "records", "count", "a"] {
        put(&service, &format!("{kind}/1"), Some("queued")).await;
    }
    service.settled().await;
    // The recount also covers an owner that never had a job.
    service.call("PUT", "/v1/records/a/1?owner=quiet").expect(201).await;
    service.settled().await;
    for owner in ["default", "quiet"] {
        assert_eq!(service.get(&format!("/v1/jobs/count?owner={owner}")).expect(200).await.at("/total"), 0);
    }
    recounts_without_drift(&service).await;
    create(&service, &json!({ "type": "records" })).await;
    create(&service, &json!({ "type": "total" })).await;
    service.settled().await;
    let jobs = service.get("/v1/jobs/count?type=records,total").expect(200).await;
    assert_eq!((jobs.at("/total"), jobs.at("/by_type")), (&json!(2), &json!({ "records": 1, "total": 1 })));
    assert_eq!(count(&service, "").await["by_kind"], json!({ "a": 1, "count": 1, "records": 1, "total": 1 }));
    assert_eq!(count(&service, "kind=total").await["total"], 1);
    recounts_without_drift(&service).await;
    assert_eq!(count(&service, "").await["total"], 4);
}

/// Compares all counts with the jobs; it would repair a difference.
async fn recounts_without_drift(service: &Service) {
    let body = json!({ "repair": true, "settle_seconds": 0 });
    let begun = service.post("/v1/admin/recount", &body).expect(202).await;
    let id = begun.at("/job_id").as_str().expect("an id").to_owned();
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{id}?wait=20")).expect(200).await;
    assert_eq!(job.at("/status"), "completed", "{}", job.text);
    assert_eq!(
        (job.at("/result/drift"), job.at("/result/repaired")),
        (&json!({}), &json!(0)),
        "{}",
        job.text
    );
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    let many = vec!["a"; 101].join(",");
    for bad in ["", "a,", ",a", "a,,b", "a%20", "*", "%C3%A4", "a%23b", &many] {
        let reply = service.get(&format!("/v1/records/count?kind={bad}&status={bad}&type=a")).send().await;
        refuses(&reply, 422, "invalid_query", &["kind", "status", "type"]);
    }
    let reply = service.get("/v1/records/count?kind=a&kind=b").send().await;
    refuses(&reply, 422, "invalid_query", &["kind"]);
    for cursor in ["limit=1", "cursor=x", "created_after=2026-01-01"] {
        let name = cursor.split('=').next().expect("a name");
        refuses(
            &service.get(&format!("/v1/records/count?{cursor}")).send().await,
            422,
            "invalid_query",
            &[name],
        );
    }
}

/// Writes counts of this many pairs of kind and status, two records each.
async fn counted(service: &Service, pairs: impl IntoIterator<Item = (String, String)>) {
    let config = tables(service).await.1;
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let requests: Vec<Value> = pairs
        .into_iter()
        .map(|(kind, status)| {
            let kind = RecordKind::try_from(kind).expect("a word");
            let status = RecordStatus::try_from(status).expect("a word");
            let place = Place::new(Bucket::Total, Group::Records(kind, Some(status)));
            json!({ "PutRequest": { "Item": {
            "scope": { "S": "default" }, "bucket": { "S": place.to_string() }, "records": { "N": "2" },
        } } })
        })
        .collect();
    for chunk in requests.chunks(25) {
        let table = config.tables.tallies.clone();
        dynamo.call("BatchWriteItem", &json!({ "RequestItems": { table: chunk } })).await;
    }
}

async fn too_many(service: &Service, query: &str, field: &str, remedy: &str) {
    let reply = service.get(&format!("/v1/records/count?{query}")).send().await;
    refuses(&reply, 422, "invalid_query", &[field]);
    assert!(reply.text.contains("10000"), "the limit is named: {}", reply.text);
    assert!(reply.text.contains(remedy), "what helps is named: {}", reply.text);
}

#[tokio::test]
async fn more_pairs_than_are_read_are_refused() {
    let service = Service::start().await;
    let pairs = (0..=MAX_RECORD_PAIRS)
        .map(|number| (format!("kind-{}", number / 100), format!("status-{}", number % 100)));
    counted(&service, pairs).await;
    too_many(&service, "", "kind", "name kinds").await;
    let one = count(&service, "kind=kind-7").await;
    assert_eq!((&one["total"], one["items"].as_array().map(Vec::len)), (&json!(200), Some(100)));
    // The first and the last kind: the function does not read those between.
    assert_eq!(count(&service, "kind=kind-0,kind-99").await["total"], 400);
    let most: Vec<String> = (0..100).map(|number| format!("kind-{number}")).collect();
    assert_eq!(count(&service, &format!("kind={}", most.join(","))).await["total"], 2 * MAX_RECORD_PAIRS);
    // With one pair fewer, all fit.
    let config = tables(&service).await.1;
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let key = json!({ "scope": { "S": "default" }, "bucket": { "S": "records#kind-100#status-0" } });
    dynamo.call("DeleteItem", &json!({ "TableName": config.tables.tallies, "Key": key })).await;
    assert_eq!(count(&service, "").await["total"], json!(2 * MAX_RECORD_PAIRS));
}

#[tokio::test]
async fn a_kind_with_too_many_statuses_is_counted_by_status() {
    let service = Service::start().await;
    let many = (0..=MAX_RECORD_PAIRS).map(|number| ("x".to_owned(), format!("status-{number:05}")));
    counted(&service, many.chain([("a".to_owned(), "b".to_owned()), ("z".to_owned(), "b".to_owned())])).await;
    too_many(&service, "kind=x", "status", "name statuses").await;
    too_many(&service, "kind=a,x", "kind", "fewer kinds").await;
    // Naming statuses helps, as the problem says.
    assert_eq!(count(&service, "kind=x&status=status-00007,status-10000").await["total"], 4);
    assert_eq!(count(&service, "kind=a,x,z&status=b,none,status-00007").await["total"], 6);
    assert_eq!(count(&service, "kind=a,z").await["total"], 4);
}

/// Two records, of two kinds. They can be counted, however many kinds there were before.
#[tokio::test]
async fn counts_of_zero_do_not_use_up_the_limit() {
    let service = Service::start().await;
    for (name, status) in [("a/1", None), ("z/1", None), ("m/1", Some("s-0"))] {
        put(&service, name, status).await;
    }
    for number in 1..60 {
        put(&service, "m/1", Some(&format!("s-{number}"))).await;
        if number % 20 == 0 {
            service.settled().await;
        }
    }
    service.call("DELETE", "/v1/records/m/1").expect(200).await;
    service.settled().await;
    assert_eq!(count(&service, "").await["by_kind"], json!({ "a": 1, "z": 1 }));
    let config = tables(&service).await.1;
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&config.tables.tallies).await;
    let kept = items.iter().filter(|item| text(item, "bucket").starts_with("records#")).count();
    assert_eq!(kept, 4, "two pairs, of the owner and of all");
}
