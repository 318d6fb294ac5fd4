//! The places of an owner's types: a bound on how many are used, and types without jobs that give theirs back.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::faults::{Fault, Gate, Proxy};
use jobledger_tests::jobs::{create, went_in};
use jobledger_tests::metrics::{Samples, is_well_formed};
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

/// Milliseconds of ten minutes. In the first minute of them, the reaper looks at types without jobs.
const TEN_MINUTES: i64 = 600_000;

/// A second after the beginning of a period of ten minutes, this many periods from now.
fn tens(ahead: i64) -> Timestamp {
    Timestamp::from_millis((system_clock().millis() / TEN_MINUTES + ahead) * TEN_MINUTES + 1_000)
}

fn first() -> Timestamp {
    tens(6)
}

fn second() -> Timestamp {
    tens(8)
}

fn third() -> Timestamp {
    tens(10)
}

/// Runs the reaper at this time; returns how many types it gave back.
async fn look(service: &Service, clock: fn() -> Timestamp) -> u64 {
    service.settled().await;
    let environment = service.environment_at("reap-leases", service.stack.dynamodb_endpoint());
    let reaper = Alone::start("reap-leases", Environment { clock, ..environment }).await;
    let watched = reaper.invoke(&json!({})).await.expect("a look");
    assert_eq!(watched["errors"], 0, "{watched}");
    watched["types_given_back"].as_u64().expect("a count")
}

#[track_caller]
fn is_refused(reply: &Reply, limit: u32) {
    assert_eq!((reply.status, reply.at("/code")), (403, &json!("too_many_types")), "{}", reply.text);
    let detail = reply.at("/detail").as_str().expect("a text");
    assert!(detail.contains(&format!("uses {limit} types")), "{detail}");
}

async fn key(service: &Service, body: &Value) -> String {
    text(service.post("/v1/admin/keys", body).expect(201).await.at("/key"))
}

/// Creates a job, cancels it and deletes it.
async fn come_and_go(service: &Service, kind: &str) {
    let id = create(service, &json!({ "type": kind })).await;
    remove(service, &id).await;
}

async fn remove(service: &Service, id: &str) {
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
}

/// The sum of a family over all types.
fn sum(samples: &Samples, name: &str) -> u64 {
    samples.of(&format!("{name}{{")).map(|(series, _)| samples.count(series)).sum()
}

/// The drift that a recount finds.
async fn drift(service: &Service) -> Value {
    service.settled().await;
    let path = "/v1/admin/recount?owner=auditor";
    let id = text(service.post(path, &json!({ "settle_seconds": 0 })).expect(202).await.at("/job_id"));
    let job = format!("/v1/jobs/{id}?owner=auditor");
    let end = service.eventually("the end of a recount", async || {
        let job = service.get(&job).expect(200).await;
        (job.at("/status") != "running").then_some(job)
    });
    end.await.at("/result/drift").clone()
}

#[tokio::test]
async fn a_type_past_the_limit_is_refused() {
    let service = Service::with(&[("TypesPerOwner", "3")]).await;
    for kind in ["a", "b", "c", "a"] {
        create(&service, &json!({ "type": kind })).await;
    }
    let new = json!({ "type": "d" });
    let call = || service.post("/v1/jobs", &new).header("idempotency-key", "k");
    is_refused(&call().send().await, 3);
    // The key of the refused job stands for nothing yet.
    let call = service.post("/v1/jobs", &json!({ "type": "b" })).header("idempotency-key", "k");
    call.expect(201).await;
    // Another owner has places of its own.
    service.post("/v1/jobs?owner=ann", &new).expect(201).await;
    // A key may have another limit, for all types of its owner.
    let more = key(&service, &json!({ "owner": "default", "scopes": ["write"], "max_types": 4 })).await;
    let by = |key: &str, kind: &str| {
        let call = service.anonymous("POST", "/v1/jobs").header("x-api-key", key);
        call.json(&json!({ "type": kind }))
    };
    by(&more, "d").expect(201).await;
    is_refused(&by(&more, "e").send().await, 4);
    let fewer = key(&service, &json!({ "owner": "default", "scopes": ["write"], "max_types": 1 })).await;
    is_refused(&by(&fewer, "e").send().await, 1);
    by(&fewer, "d").expect(201).await;
    let reserved = service.post("/v1/jobs", &json!({ "type": "other" })).expect(400).await;
    assert_eq!(reserved.at("/errors/0/field"), "type", "{}", reserved.text);
}

#[tokio::test]
async fn an_ingest_refuses_lines_of_types_past_the_limit() {
    let service = Service::with(&[("TypesPerOwner", "2")]).await;
    let line = |external_id: &str, kind: &str, priority: u8| json!({ "external_id": external_id, "type": kind, "status": "queued", "priority": priority });
    let jobs = json!([line("1", "a", 1), line("2", "b", 1), line("3", "c", 1), line("4", "a", 1)]);
    let reply = service.post("/v1/admin/ingest/jobs", &jobs).expect(200).await;
    assert_eq!(went_in(&reply), [3, 0, 0, 1], "{}", reply.text);
    let rejected = reply.at("/rejected/0");
    let told = (&rejected["code"], &rejected["errors"][0]["field"], &rejected["external_id"]);
    assert_eq!(told, (&json!("too_many_types"), &json!("type"), &json!(text(&rejected["external_id"]))));
    // A change of a job goes on. A job cannot move to a type past the limit.
    let jobs = json!([line("1", "a", 2), line("2", "d", 2)]);
    let reply = service.post("/v1/admin/ingest/jobs", &jobs).expect(200).await;
    assert_eq!(went_in(&reply), [0, 1, 0, 1], "{}", reply.text);
    assert_eq!(reply.at("/rejected/0/code"), "too_many_types");
    let list = service.get("/v1/jobs?type=c,d").expect(200).await;
    assert_eq!(list.at("/jobs"), &json!([]));
}

#[tokio::test]
async fn creations_at_once_do_not_pass_the_limit() {
    let service = Service::with(&[("TypesPerOwner", "5")]).await;
    let environment = || service.environment_at("create-job", service.stack.dynamodb_endpoint());
    // Three execution environments, of which none knows of the others.
    let functions = [
        Alone::start("create-job", environment()).await,
        Alone::start("create-job", environment()).await,
        Alone::start("create-job", environment()).await,
    ];
    let calls = (0..30).map(|number| {
        let body = json!({ "type": format!("t{}", number / 3) });
        let function = &functions[number % 3];
        async move {
            let reply = function.call(&Request::new("POST", "/v1/jobs").body(body.to_string())).await;
            assert!([201, 403].contains(&reply.status), "{}", reply.text);
            (reply.status == 201).then(|| text(&body["type"]))
        }
    });
    let made: BTreeSet<String> = join_all(calls).await.into_iter().flatten().collect();
    assert_eq!(made.len(), 5, "{made:?}");
    for kind in made {
        create(&service, &json!({ "type": kind })).await;
    }
}

#[tokio::test]
async fn types_without_jobs_give_their_places_back_and_no_total_falls() {
    let service = Service::with(&[("TypesPerOwner", "4")]).await;
    for kind in ["gone", "back", "used"] {
        come_and_go(&service, kind).await;
    }
    create(&service, &json!({ "type": "stays" })).await;
    // Another owner has a job of a type that this one gives back.
    service.post("/v1/jobs?owner=ann", &json!({ "type": "gone" })).expect(201).await;
    service.settled().await;
    let before = Samples::scrape(&service).await;
    assert_eq!(look(&service, first).await, 0);
    // Somebody uses a type between the two looks.
    create(&service, &json!({ "type": "used" })).await;
    is_refused(&service.post("/v1/jobs", &json!({ "type": "new" })).send().await, 4);
    // `gone` and `back` of the owner, and `back` of all owners.
    assert_eq!(look(&service, second).await, 3);

    let after = Samples::scrape(&service).await;
    for name in ["jobledger_jobs_created_total", "jobledger_jobs_removed_total"] {
        let made = u64::from(name == "jobledger_jobs_created_total");
        assert_eq!(sum(&after, name), sum(&before, name) + made, "{name}");
    }
    after.check("jobledger_jobs_created_total{type=\"other\"}", "1");
    after.check("jobledger_jobs_created_total{type=\"gone\"}", "2");
    assert_eq!(after.of("jobledger_jobs_created_total{type=\"back\"}").count(), 0);
    is_well_formed(&service).await;
    assert_eq!(drift(&service).await, json!({}));
    let types = service.get("/v1/types").expect(200).await;
    let types: Vec<String> =
        types.at("/types").as_array().expect("a list").iter().map(|it| text(&it["type"])).collect();
    assert_eq!(types, ["stays", "used"]);

    // There are two places again, also for a type that gave one back.
    // By the reaper's clock, each execution environment has forgotten what it knew of the types. This one knows nothing.
    let environment = service.environment_at("create-job", service.stack.dynamodb_endpoint());
    let creator = Alone::start("create-job", environment).await;
    let create_now = async |kind: &str| {
        let body = json!({ "type": kind }).to_string();
        creator.call(&Request::new("POST", "/v1/jobs").body(body)).await
    };
    let back = create_now("back").await;
    remove(&service, back.at("/job_id").as_str().expect("an id")).await;
    assert_eq!(create_now("new").await.status, 201);
    is_refused(&create_now("newer").await, 4);
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs_created_total{type=\"back\"}", "1");
    samples.balance();
    assert_eq!(drift(&service).await, json!({}));
    look(&service, second).await;
    look(&service, third).await;
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs_created_total{type=\"other\"}", "2");
    assert_eq!(drift(&service).await, json!({}));
}

#[tokio::test]
async fn a_type_with_settings_or_with_a_job_that_is_not_counted_keeps_its_place() {
    let service = Service::with(&[("TypesPerOwner", "2"), ("CountDelaySeconds", "0")]).await;
    come_and_go(&service, "set").await;
    come_and_go(&service, "late").await;
    service.call("PUT", "/v1/types/set").json(&json!({ "max_attempts": 2 })).expect(200).await;
    look(&service, first).await;
    // The counter has not seen this job when the reaper looks again.
    let environment = service.environment_at("reap-leases", service.stack.dynamodb_endpoint());
    let reaper = Alone::start("reap-leases", Environment { clock: second, ..environment }).await;
    let id = create(&service, &json!({ "type": "late" })).await;
    reaper.invoke(&json!({})).await.expect("a look");
    is_refused(&service.post("/v1/jobs", &json!({ "type": "new" })).send().await, 2);
    service.settled().await;
    let count = service.get("/v1/jobs/count?type=late").expect(200).await;
    assert_eq!(count.at("/total"), 1, "{}", count.text);
    remove(&service, &id).await;
    assert_eq!(drift(&service).await, json!({}));
}

/// One reaper is slow. When it comes to give a type back, another reaper has done so. The type has counts again, with the
/// same revision as those that the slow one has read.
#[tokio::test]
async fn a_slow_reaper_does_not_give_back_counts_that_it_has_not_read() {
    let service = Service::start().await;
    come_and_go(&service, "gone").await;
    look(&service, first).await;
    let tallies =
        service.stack.environment("tally-jobs").expect("the function").vars["TALLIES_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let totals = async || {
        let items = dynamo.scan(&tallies).await.into_iter();
        let totals = items.filter(|item| item["bucket"]["S"] == "total@gone");
        totals.map(|item| (item["scope"].clone(), item)).collect::<Vec<_>>()
    };
    let before = totals().await;
    assert_eq!(before.len(), 2, "the owner's, and that of all owners");

    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let environment = Environment { clock: second, ..service.environment_at("reap-leases", proxy.url()) };
    let slow = Alone::start("reap-leases", environment).await;
    let gate = Gate::shut();
    let shut = gate.clone();
    proxy.plan(move |seen| match seen.operation.as_str() {
        "TransactWriteItems" => Fault::Gated(shut.clone()),
        _ => Fault::None,
    });
    let meanwhile = async {
        proxy.held(2).await;
        assert_eq!(look(&service, second).await, 2);
        assert!(totals().await.is_empty());
        let environment = service.environment_at("create-job", service.stack.dynamodb_endpoint());
        let creator = Alone::start("create-job", environment).await;
        let made = creator.call(&Request::new("POST", "/v1/jobs").body(r#"{"type":"gone"}"#)).await;
        remove(&service, made.at("/job_id").as_str().expect("an id")).await;
        service.settled().await;
        for (scope, mut item) in totals().await {
            let read = before.iter().find(|(of, _)| *of == scope).map(|(_, item)| item["revision"].clone());
            item.insert("revision".to_owned(), read.expect("the same scope"));
            dynamo.put(&tallies, &item).await;
        }
        gate.open();
    };
    let request = json!({});
    let (looked, ()) = tokio::join!(slow.invoke(&request), meanwhile);
    assert_eq!(looked.expect("a look")["types_given_back"], 0);
    assert_eq!(totals().await.len(), 2);
    assert_eq!(drift(&service).await, json!({}));
}
