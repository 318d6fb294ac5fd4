//! Failures that do not end: bounded retries, then 503.

use std::time::Duration;

use jobledger::lambda::system_clock;
use jobledger_local::{DynamoDb, LOCAL_KEY, Options};
use jobledger_tests::PATIENCE;
use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::at_once::each_of;
use jobledger_tests::clock;
use jobledger_tests::faults::{Closed, Fault, Proxy, Seen};
use jobledger_tests::keys::id_and_key;
use jobledger_tests::metrics::Samples;
use serde_json::json;

use super::{FaultFixture, ProxiedFunction};

/// Most requests of one call if all of them fail: all its first requests, and their retries.
const MAX_TRIES: usize = 40;

/// Every request fails from the first one on, or from the first one after the key was read.
async fn lasting(fault: Fault, knows_the_key: bool) {
    let fixture = FaultFixture::start().await;
    let before = fixture.requests().await;
    let stored = fixture.heads().await;
    let (fixture, fault) = (&fixture, &fault);
    each_of(before, |(name, request)| async move {
        let mut behind = fixture.behind(name).await;
        if knows_the_key {
            behind = behind.knows_the_key().await;
        }
        let always = fault.clone();
        behind.proxy.plan(move |_| always.clone());
        let reply = tokio::time::timeout(PATIENCE, behind.call(&request)).await.expect("it gives up in time");
        let what = format!("{name}, {fault:?}");
        fixture.is_unavailable(&what, &reply);
        let tries = behind.proxy.seen().len();
        assert!((2..=MAX_TRIES).contains(&tries), "{what}: {tries} tries");
        // Once the store works again, the function does, too.
        behind.proxy.heal();
        let reply = behind.call(&request).await;
        assert!([200, 201, 202, 307].contains(&reply.status), "{what}: {}", reply.text);
    })
    .await;
    let after = fixture.heads().await;
    let known: Vec<&String> = stored.keys().filter(|id| after.contains_key(*id)).collect();
    assert_eq!(known.len() + 1, stored.len(), "one was deleted, and that after the trouble");
}

#[tokio::test]
async fn throttling_while_the_key_is_read_returns_503() {
    lasting(Fault::throttled(), false).await;
}

#[tokio::test]
async fn throttling_returns_503() {
    lasting(Fault::throttled(), true).await;
}

#[tokio::test]
async fn server_errors_return_503() {
    lasting(Fault::broken(), true).await;
}

#[tokio::test]
async fn cut_connections_return_503() {
    lasting(Fault::Lost, true).await;
}

#[tokio::test]
async fn answers_that_are_not_json_return_503() {
    lasting(Fault::Answered(502, json!("<html>internal-text-of-the-store</html>")), true).await;
}

/// A conflict with a transaction also fails single requests.
#[tokio::test]
async fn transaction_conflicts_return_503() {
    lasting(Fault::conflict(), true).await;
}

#[tokio::test]
async fn an_unreachable_store_returns_503() {
    let fixture = FaultFixture::start().await;
    let requests = fixture.requests().await;
    let closed = Closed::take();
    let (fixture, closed) = (&fixture, &closed);
    each_of(requests, |(name, request)| async move {
        // The function also starts while the store is down. Its first call must not be worse than others.
        let function = fixture.function_at(name, closed.url()).await;
        let reply =
            tokio::time::timeout(PATIENCE, function.call(&request)).await.expect("it gives up in time");
        fixture.is_unavailable(name, &reply);
    })
    .await;
}

/// A mistake of ours or of the deployment does not pass. The function does not retry, and returns 500.
#[tokio::test]
async fn requests_that_the_store_refuses_return_500_without_a_retry() {
    let fixture = FaultFixture::start().await;
    let requests = fixture.requests().await;
    let fixture = &fixture;
    each_of(requests, |(name, request)| async move {
        let behind = fixture.behind(name).await;
        behind.proxy.plan(|_| Fault::refused());
        let reply = behind.call(&request).await;
        fixture.is_problem(name, &reply, 500, "internal");
        // A scrape sends five requests at the same time.
        assert!(behind.proxy.seen().len() <= 5, "{name}: {:?}", behind.proxy.operations());
    })
    .await;
}

/// A limited key takes its calls from the store once its lease is used up. With such a slow rate, that is at
/// each call.
#[tokio::test]
async fn throttling_of_the_rate_fails_no_read_and_a_lost_answer_is_retried() {
    let fixture = FaultFixture::start().await;
    let key = json!({ "owner": "default", "scopes": ["admin"], "requests_per_minute": 10, "burst": 14_400 });
    let (_, key) = id_and_key(&fixture.service, &key).await;
    let requests = fixture.requests().await;
    let (fixture, bearer) = (&fixture, &format!("Bearer {key}"));
    each_of(requests.into_iter().filter(|(name, _)| *name != "metrics"), |(name, request)| async move {
        let request = request.header("authorization", bearer);
        let behind = fixture.behind(name).await.knows_the_key().await;
        behind.proxy.plan(|seen| if is_rate(seen) { Fault::throttled() } else { Fault::None });
        let reply = behind.call(&request).await;
        if request.reads() {
            assert!([200, 307].contains(&reply.status), "{name}: {}", reply.text);
            assert!(reply.header("ratelimit").is_none(), "{name}: nobody knows what is left");
        } else {
            fixture.is_unavailable(name, &reply);
        }
        assert!(
            behind.proxy.seen().iter().filter(|seen| is_rate(seen)).count() >= 2,
            "{name}: it tries again"
        );
        let mut lost = 0;
        behind.proxy.plan(move |seen| {
            lost += usize::from(is_rate(seen));
            if is_rate(seen) && lost == 1 { Fault::AnswerLost } else { Fault::None }
        });
        let reply = behind.call(&request).await;
        assert!([200, 201, 202, 307].contains(&reply.status), "{name}: {}", reply.text);
        assert!(reply.header("ratelimit").is_some(), "{name}: {:?}", reply.headers);
    })
    .await;
}

/// Nothing can be written: a full disk, or a table that is over its limit for writes.
#[tokio::test]
async fn a_read_does_not_fail_because_nothing_can_be_written() {
    let fixture = FaultFixture::start().await;
    let key = json!({ "owner": "default", "scopes": ["admin"], "requests_per_minute": 10, "burst": 14_400 });
    let (_, key) = id_and_key(&fixture.service, &key).await;
    let requests = fixture.requests().await;
    let (fixture, bearer) = (&fixture, &format!("Bearer {key}"));
    // A link to an export is kept as a ticket: that is its purpose, and is not by the way.
    let reads = requests.into_iter().filter(|(name, request)| *name != "export-link" && request.reads());
    let cases =
        reads.flat_map(|read| [Fault::throttled(), Fault::broken()].map(|fault| (read.clone(), fault)));
    each_of(cases, |((name, request), fault)| async move {
        let request = request.header("authorization", bearer);
        let behind = fixture.behind(name).await;
        behind.proxy.show_usage();
        behind.proxy.plan(move |seen| if is_write(seen) { fault.clone() } else { Fault::None });
        let reply = behind.call(&request).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text);
    })
    .await;
}

/// A scrape goes on without its probe, and shows since when none came through.
#[tokio::test]
async fn a_scrape_shows_the_lag_of_a_store_that_cannot_be_written() {
    let fixture = FaultFixture::start().await;
    let began = system_clock();
    let at = |seconds: i64| clock::set(began.plus_millis(seconds * 1_000));
    at(0);
    let behind = fixture.behind_by("metrics", clock::now).await;
    let lag = async || {
        let reply = behind.call(&Request::new("GET", "/metrics")).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        Samples::parse(&reply.text).millis("jobledger_tally_lag_seconds")
    };
    behind.proxy.plan(|seen| if is_write(seen) { Fault::broken() } else { Fault::None });
    assert_eq!(lag().await, 0, "that a probe has just failed says nothing yet");
    at(70);
    assert_eq!(lag().await, 70_000);
    at(300);
    assert_eq!(lag().await, 300_000);
    behind.proxy.heal();
    lag().await;
    fixture.service.settled().await;
    at(310);
    assert_eq!(lag().await, 0, "the probe came through");
}

fn is_write(seen: &Seen) -> bool {
    !["GetItem", "BatchGetItem", "Query"].contains(&seen.operation.as_str())
}

/// Whether a request takes calls from a key's rate.
fn is_rate(seen: &Seen) -> bool {
    seen.operation == "UpdateItem"
        && seen.body["Key"]["span"]["S"].as_str().is_some_and(|span| span.starts_with("rate#"))
}

#[tokio::test]
async fn health_answers_without_the_store() {
    let fixture = FaultFixture::start().await;
    let closed = Closed::take();
    let health = fixture.function_at("health", closed.url()).await;
    let reply = health.call(&Request::new("GET", "/health")).await;
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("healthy")));
}

/// A store that never answers. The function gives up before Lambda ends it, and answers the caller. The test
/// calls a whole stack, which ends functions after their `Timeout`, as Lambda does.
#[tokio::test]
async fn a_store_that_does_not_answer_returns_503() {
    let fixture = FaultFixture::start().await;
    let proxy = Proxy::start(fixture.service.stack.dynamodb_endpoint()).await;
    let endpoint = DynamoDb::Endpoint(proxy.url().to_owned());
    let table_prefix = fixture.jobs.strip_suffix("JobsTable").expect("a prefix").to_owned();
    let other =
        Service::with_options(Options { dynamodb: endpoint, table_prefix, ..Options::default() }).await;
    let id = fixture.job(&json!({ "type": "render" })).await;
    let line = json!({ "external_id": "1", "type": "render", "status": "queued" });
    let token = "f.1.60.0.00000000000000000000000000000001.render";
    let claim = json!({ "worker_id": "w", "types": ["render"], "wait_seconds": 20 });
    let calls = || {
        [
            ("create", other.post("/v1/jobs", &json!({ "type": "render" }))),
            ("list", other.get("/v1/jobs")),
            ("count", other.get("/v1/jobs/count")),
            ("stats", other.get("/v1/jobs/stats")),
            ("costs", other.get("/v1/analytics/cost/by-model")),
            ("get", other.get(&format!("/v1/jobs/{id}"))),
            ("batch-status", other.post("/v1/jobs/batch-status", &json!({ "job_ids": [id] }))),
            ("cancel", other.call("POST", &format!("/v1/jobs/{id}/cancel"))),
            ("delete", other.call("DELETE", &format!("/v1/jobs/{id}"))),
            ("claim", other.post("/v1/jobs/claim", &claim)),
            ("report", other.call("PATCH", &format!("/v1/jobs/{id}")).json(&json!({ "lease_token": token }))),
            ("edit", other.call("PATCH", &format!("/v1/jobs/{id}")).json(&json!({ "name": "x" }))),
            ("retry", other.call("POST", &format!("/v1/jobs/{id}/retry"))),
            ("type", other.get("/v1/types/render")),
            ("put a record", other.call("PUT", "/v1/records/source/1")),
            ("record", other.get("/v1/records/source/1")),
            ("remove a record", other.call("DELETE", "/v1/records/source/1")),
            ("count of records", other.get("/v1/records/count")),
            ("ingest", other.post("/v1/admin/ingest/jobs", &json!([line]))),
            (
                "bulk",
                other.post("/v1/jobs/bulk", &json!({ "action": "cancel", "filter": { "type": "none" } })),
            ),
            ("recount", other.post("/v1/admin/recount", &json!({}))),
            ("keys", other.get("/v1/admin/keys")),
            ("a new key", other.post("/v1/admin/keys", &json!({ "owner": "a", "scopes": ["read"] }))),
            ("usage", other.get("/v1/usage")),
            ("export", other.staying("GET", "/v1/jobs/export").header("x-api-key", LOCAL_KEY)),
            ("file", other.get("/lambda-url/export-jobs/v1/jobs/export")),
            ("metrics", other.anonymous("GET", "/metrics")),
        ]
    };
    proxy.plan(|_| Fault::Held);
    let (fixture, mut replies) = (&fixture, Vec::new());
    for (what, call) in calls() {
        replies.push((what, tokio::spawn(call.send())));
    }
    for (what, reply) in replies {
        let reply =
            tokio::time::timeout(PATIENCE, reply).await.expect("an answer in time").expect("an answer");
        fixture.is_unavailable(what, &reply);
    }
    proxy.heal();
    other.get(&format!("/v1/jobs/{id}")).expect(200).await;
}

/// If Lambda is about to end a call, the function answers before, whatever it still retries.
#[tokio::test]
async fn a_function_answers_before_its_timeout() {
    let fixture = FaultFixture::start().await;
    let id = fixture.job(&json!({ "type": "render" })).await;
    let behind = fixture.behind("get-job").await.knows_the_key().await;
    let behind =
        ProxiedFunction { function: behind.function.ends_in(Duration::from_secs(2)), proxy: behind.proxy };
    behind.proxy.plan(|_| Fault::Held);
    let request = Request::new("GET", &format!("/v1/jobs/{id}"));
    fixture.is_unavailable("at the end", &behind.call(&request).await);
    assert_eq!(behind.proxy.seen().len(), 1, "the first try still had time");
}

/// A batch of which the store always leaves some items undone.
#[tokio::test]
async fn items_that_stay_unprocessed_return_503() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.hurried("ingest-jobs").await;
    let request = Request::new("POST", "/v1/admin/ingest/jobs")
        .body(r#"{"external_id":"1","type":"render","status":"queued","payload":1}"#);
    for (operation, left) in [("BatchGetItem", 0), ("BatchWriteItem", 0)] {
        behind
            .proxy
            .plan(move |seen| if seen.operation == operation { Fault::LeftOver(left) } else { Fault::None });
        let reply = behind.call(&request).await;
        // The function may write a single part by itself. Then there is no batch.
        if behind.proxy.operations().iter().any(|seen| seen == operation) {
            fixture.is_unavailable(operation, &reply);
            let tries = behind.proxy.operations().iter().filter(|seen| *seen == operation).count();
            assert!((2..=MAX_TRIES).contains(&tries), "{tries} tries of {operation}");
        }
        assert!(fixture.heads().await.is_empty(), "a job is there only with all of its parts");
    }
    behind.proxy.heal();
    assert_eq!(behind.call(&request).await.at("/created"), &json!(1));
}
