//! `GET /v1/jobs/count`.

use jobledger::counts::MAX_TYPES_WITHIN_DATES;
use jobledger_tests::jobs::ingest;
use jobledger_tests::keys::add_key;
use jobledger_tests::lists::{ingest_rows, rows};
use jobledger_tests::problems::refuses;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

async fn count(service: &Service, query: &str) -> Value {
    service.get(&format!("/v1/jobs/count?{query}")).expect(200).await.json
}

fn queued(number: usize, kind: &str, created_at: &str) -> Value {
    json!({ "external_id": format!("n{number}"), "type": kind, "status": "queued", "created_at": created_at })
}

#[tokio::test]
async fn a_list_is_counted_by_status_and_by_type() {
    let service = Service::shared().await;
    ingest_rows(&service).await;
    let whole = count(&service, "").await;
    let of = |is_it: &dyn Fn(&jobledger_tests::lists::Row) -> bool| {
        rows(&service).iter().filter(|row| is_it(row)).count()
    };
    let status = |word: &'static str| of(&move |row| row.status == word);
    let kind = |word: &'static str| of(&move |row| row.kind == word);
    let expect = json!({
        "total": 130, "total_kind": "exact",
        "by_status": {
            "queued": status("queued"), "running": status("running"), "completed": status("completed"),
            "failed": status("failed"), "cancelled": status("cancelled"),
        },
        "by_type": { "a": kind("a"), "b.c": kind("b.c"), "d:e": kind("d:e") },
    });
    assert_eq!(whole, expect);
    // Every way to name all jobs.
    for query in [
        "created_after=0001-01-01&created_before=9999-12-31",
        "from_date=1066-10-14&to_date=2999-12-31T23:59:59%2B02:00",
        "status=queued,running,completed,failed,canceled",
        "type=d:e,b.c,a,none",
    ] {
        assert_eq!(count(&service, query).await, expect, "{query}");
    }
    // With one status and one type, other statuses are 0 and other types are absent.
    let one = count(&service, "status=failed&type=b.c").await;
    let number = of(&|row| row.status == "failed" && row.kind == "b.c");
    let by_status = json!({ "queued": 0, "running": 0, "completed": 0, "failed": number, "cancelled": 0 });
    assert!(number > 0);
    let expect = json!({ "total": number, "total_kind": "exact", "by_status": by_status, "by_type": { "b.c": number } });
    assert_eq!(one, expect);
}

#[tokio::test]
async fn without_jobs_all_counts_are_zero() {
    let service = Service::start().await;
    let nothing = json!({
        "total": 0, "total_kind": "exact", "by_type": {},
        "by_status": { "queued": 0, "running": 0, "completed": 0, "failed": 0, "cancelled": 0 },
    });
    for query in ["", "owner=nobody", "type=a", "from_date=2026-01-01T10:10:10Z", "search=x", "external_id=x"]
    {
        assert_eq!(count(&service, query).await, nothing, "{query}");
    }
    // Another owner's jobs do not count.
    add_key(&service, "reader", "other", &["read"], None).await;
    ingest(&service, &json!([queued(1, "a", "2026-01-01T00:00:00Z")])).await;
    service.settled().await;
    let call = |query: &str| {
        service.anonymous("GET", &format!("/v1/jobs/count?{query}")).header("x-api-key", "reader")
    };
    assert_eq!(call("").expect(200).await.json, nothing);
    call("owner=default").expect(403).await;
    assert_eq!(count(&service, "").await["total"], 1);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    for (query, fields) in [
        ("sort_by=created_at&sort_order=asc", vec!["sort_by", "sort_order"]),
        ("limit=1&offset=0&skip=0", vec!["limit", "offset", "skip"]),
        ("cursor=x&page=1&per_page=1", vec!["cursor", "page", "per_page"]),
        ("type=a%20b&status=gone&priority=11&colour=red", vec!["type", "status", "priority", "colour"]),
        ("created_after=soon&created_before=2026-02-30", vec!["created_after", "created_before"]),
        ("created_after=2026-01-02&created_before=2026-01-01", vec!["created_before"]),
        ("from_date=2026-01-02&to_date=2026-01-01", vec!["to_date"]),
        ("type=a&type=b", vec!["type"]),
    ] {
        let reply = service.get(&format!("/v1/jobs/count?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &fields);
    }
}

/// Filters without a bucket are counted from the index, with the same limit as in lists.
#[tokio::test]
async fn other_filters_are_counted_too() {
    let service = Service::shared().await;
    let jobs: Vec<Value> = (0..60)
        .map(|number| {
            let mut job = queued(number, ["a", "b"][number % 2], "2026-01-01T10:00:00Z");
            job["priority"] = json!(number % 3);
            job["name"] = json!(format!("Scene {number}"));
            job["labels"] = json!({ "team": if number < 30 { "red" } else { "blue" } });
            job
        })
        .collect();
    assert_eq!(ingest(&service, &json!(jobs)).await, [60, 0, 0, 0]);
    service.settled().await;
    for (query, a, b) in [
        ("priority=1", 10, 10),
        ("team=blue", 15, 15),
        ("team=blue&priority=0&type=a", 5, 0),
        ("search=scene%201", 5, 6),
        ("external_id=n7", 0, 1),
        ("search=n8", 1, 0),
        ("team=red&status=completed", 0, 0),
        ("priority=2&created_before=2026-01-01T09:59:59.999Z", 0, 0),
    ] {
        let counted = count(&service, query).await;
        let by_type: serde_json::Map<String, Value> = [("a", a), ("b", b)]
            .into_iter()
            .filter(|(_, number)| *number > 0)
            .map(|(kind, number)| (kind.to_owned(), json!(number)))
            .collect();
        assert_eq!((&counted["total"], &counted["by_type"]), (&json!(a + b), &json!(by_type)), "{query}");
        assert_eq!(
            (&counted["by_status"]["queued"], &counted["total_kind"]),
            (&json!(a + b), &json!("exact"))
        );
        assert_eq!(jobledger_tests::jobs::total(&service, query).await, a + b, "{query}");
    }
}

#[tokio::test]
async fn three_hundred_types_are_counted_within_dates() {
    let service = Service::shared().await;
    let jobs: Vec<Value> = (0..600)
        .map(|number| {
            let created_at =
                format!("2026-{:02}-{:02}T{:02}:30:30.500Z", 1 + number % 3, 1 + number % 28, number % 24);
            queued(number, &format!("type-{:03}", number % 300), &created_at)
        })
        .collect();
    assert_eq!(ingest(&service, &json!(jobs)).await, [600, 0, 0, 0]);
    service.settled().await;
    for (from, to) in [
        ("2026-01-03T05:30:30.500Z", "2026-03-20T17:30:30.499Z"),
        ("2026-02-01T00:00:00.000Z", "2026-02-28T23:59:59.999Z"),
        ("2026-01-01T00:00:00.000Z", "2026-12-31T23:59:59.999Z"),
    ] {
        let within: Vec<&Value> = jobs
            .iter()
            .filter(|job| {
                let at = text(&job["created_at"]);
                from <= at.as_str() && at.as_str() <= to
            })
            .collect();
        let mut by_type: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
        for job in &within {
            *by_type.entry(text(&job["type"])).or_default() += 1;
        }
        let counted = count(&service, &format!("created_after={from}&created_before={to}")).await;
        assert_eq!(
            (&counted["total"], &counted["by_type"]),
            (&json!(within.len()), &json!(by_type)),
            "{from} {to}"
        );
    }
}

#[tokio::test]
async fn more_types_than_are_counted_within_dates_are_refused() {
    let service = Service::with(&[("TypesPerOwner", &(MAX_TYPES_WITHIN_DATES + 1).to_string())]).await;
    let jobs: Vec<Value> = (0..=MAX_TYPES_WITHIN_DATES)
        .map(|number| queued(number, &format!("type-{number}"), "2026-01-01T10:00:00Z"))
        .collect();
    ingest(&service, &json!(jobs)).await;
    service.settled().await;
    let counted = count(&service, "").await;
    assert_eq!(counted["total"], json!(MAX_TYPES_WITHIN_DATES + 1));
    assert_eq!(counted["by_type"].as_object().map(serde_json::Map::len), Some(MAX_TYPES_WITHIN_DATES + 1));
    let dates = "created_after=2026-01-01T09:00:00Z";
    let reply = service.get(&format!("/v1/jobs/count?{dates}")).send().await;
    refuses(&reply, 422, "invalid_query", &["type"]);
    assert!(reply.text.contains("1000"), "the limit is named: {}", reply.text);
    let some = count(&service, &format!("{dates}&type=type-7,type-1000")).await;
    assert_eq!((&some["total"], &some["by_type"]["type-7"]), (&json!(2), &json!(1)));
    // The limit counts only types that have jobs in the status.
    assert_eq!(count(&service, &format!("{dates}&status=running")).await["total"], 0);
    service.call("DELETE", &format!("/v1/jobs/{}", only_id(&service, "type-7").await)).expect(200).await;
    service.settled().await;
    let counted = count(&service, dates).await;
    assert_eq!(counted["total"], json!(MAX_TYPES_WITHIN_DATES), "a type that has no jobs any more is none");
    assert_eq!(counted["by_type"]["type-7"], Value::Null);
}

async fn only_id(service: &Service, kind: &str) -> String {
    text(service.get(&format!("/v1/jobs?type={kind}")).expect(200).await.at("/jobs/0/job_id"))
}

#[tokio::test]
async fn a_count_tells_each_type_by_status_if_asked() {
    let service = Service::shared().await;
    let mut jobs = vec![
        queued(0, "a", "2026-01-01T00:00:00Z"),
        queued(1, "a", "2026-02-01T00:00:00Z"),
        queued(2, "b", "2026-01-01T00:00:00Z"),
    ];
    jobs.push(json!({
        "external_id": "n3", "type": "a", "status": "cancelled", "created_at": "2026-01-01T00:00:00Z",
        "completed_at": "2026-01-01T00:00:01Z", "priority": 3,
    }));
    assert_eq!(ingest(&service, &json!(jobs)).await, [4, 0, 0, 0]);
    service.settled().await;
    for (query, expect) in [
        ("", json!({ "a": { "queued": 2, "cancelled": 1 }, "b": { "queued": 1 } })),
        ("&created_before=2026-01-31", json!({ "a": { "queued": 1, "cancelled": 1 }, "b": { "queued": 1 } })),
        ("&priority=3", json!({ "a": { "cancelled": 1 } })),
        ("&type=c", json!({})),
    ] {
        let counted = count(&service, &format!("by=type_and_status{query}")).await;
        assert_eq!(counted["by_type_and_status"], expect, "{query}");
    }
    assert!(count(&service, "").await.get("by_type_and_status").is_none());
    refuses(&service.get("/v1/jobs/count?by=status").send().await, 422, "invalid_query", &["by"]);
}
