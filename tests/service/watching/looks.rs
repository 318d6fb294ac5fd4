//! What a look ends and what it leaves alone.

use std::sync::Arc;
use std::time::Duration;

use jobledger::Environment;
use jobledger::meter::Meter;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::{Fault, Proxy};
use serde_json::{Value, json};

use super::{Ended, House, NOTHING, before, ended, later, look, much_later, thorough};
use crate::routes::{create, text};
use crate::tasks;

#[tokio::test]
async fn a_forgotten_job_waits_again_and_fails_at_its_last_try() {
    let house = House::start().await;
    let (id, token) = house.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
    house.ends(before, NOTHING).await;
    assert_eq!(house.job(&id).await["status"], "running");
    house.ends(later, Ended { queued: 1, ..NOTHING }).await;

    let job = house.job(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("queued"), &json!(1)), "{job}");
    let tried = &job["attempts"][0];
    assert_eq!((&tried["number"], &tried["worker"]), (&json!(1), &json!("w")), "{job}");
    assert_eq!(tried["error"]["code"], "lease_expired", "{job}");
    assert!(job["available_at"].as_str() > tried["ended_at"].as_str(), "it waits for a while: {job}");
    let report = json!({ "lease_token": token, "status": "completed" });
    let path = format!("/v1/jobs/{id}");
    let reply = house.service.call("PATCH", &path).json(&report).expect(409).await;
    assert_eq!(reply.at("/code"), "lease_lost");

    // Looking again changes nothing; the next try is lost, too.
    house.ends(later, NOTHING).await;
    assert_eq!(house.claims_at(much_later, "scrape").await.len(), 1);
    house.ends(|| much_later().plus_millis(9_000), NOTHING).await;
    house.ends(|| much_later().plus_millis(11_000), Ended { failed: 1, ..NOTHING }).await;
    let job = house.job(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("lease_expired")), "{job}");
    let workers: Vec<_> =
        job["attempts"].as_array().expect("tries").iter().map(|one| &one["worker"]).collect();
    assert_eq!(workers, ["w", "w2"], "{job}");
    assert!(job["expires_at"].is_string(), "{job}");
}

#[tokio::test]
async fn a_try_that_takes_too_long_is_ended_as_that() {
    let house = House::start().await;
    let (long, token) =
        house.claimed(&json!({ "type": "scrape", "max_attempts": 2, "timeout_seconds": 3_000 })).await;
    let (short, _) = house.claimed(&json!({ "type": "scrape", "timeout_seconds": 2 })).await;
    let report = json!({ "lease_token": token, "lease_seconds": 900 });
    house.service.call("PATCH", &format!("/v1/jobs/{long}")).json(&report).expect(200).await;
    house.ends(later, Ended { queued: 1, failed: 1, ..NOTHING }).await;
    let (long, short) = (house.job(&long).await, house.job(&short).await);
    assert_eq!(long["attempts"][0]["error"]["code"], "lease_expired", "its time was not over: {long}");
    assert_eq!(short["error"]["code"], "timeout", "{short}");
    assert_eq!(short["attempts"][0]["error"]["code"], "timeout", "{short}");
}

#[tokio::test]
async fn a_slot_is_given_back_with_the_try() {
    let house = House::start().await;
    house.limit("scrape", &json!({ "max_concurrency": 1, "backoff_seconds": 0 })).await;
    let (_, _) = house.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
    assert_eq!(house.slots("scrape").await, 1);
    create(&house.service, &json!({ "type": "scrape" })).await;
    assert!(house.claims_at(later, "scrape").await.is_empty(), "as many run as may");
    house.ends(later, Ended { queued: 1, ..NOTHING }).await;
    assert_eq!(house.slots("scrape").await, 0);
    assert_eq!(house.claims_at(later, "scrape").await.len(), 1);
    assert_eq!(house.slots("scrape").await, 1);
}

/// The look has read the head, and then the worker reports.
#[tokio::test]
async fn a_report_in_between_wins() {
    let house = House::start().await;
    house.limit("limited", &json!({ "max_concurrency": 1 })).await;
    for kind in ["free", "limited"] {
        let (id, token) = house.claimed(&json!({ "type": kind })).await;
        let stale = house.head(&id).await;
        let report = json!({ "lease_token": token, "progress": { "overall_progress": 40 } });
        house.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
        house.service.settled().await;
        let proxy = Proxy::start(house.service.stack.dynamodb_endpoint()).await;
        let watcher = house.function("reap-leases", proxy.url(), later).await;
        let jobs = house.table("JOBS_TABLE").to_owned();
        proxy.plan(move |seen| {
            if seen.operation == "BatchGetItem" && seen.body["RequestItems"].get(&jobs).is_some() {
                Fault::Answered(
                    200,
                    json!({ "Responses": { jobs.as_str(): [stale] }, "UnprocessedKeys": {} }),
                )
            } else {
                Fault::None
            }
        });
        assert_eq!(ended(&look(&watcher).await), Ended { changed: 1, ..NOTHING });
        let job = house.job(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("running"), &json!(1)), "{job}");
        let end = json!({ "lease_token": token, "status": "completed" });
        house.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&end).expect(200).await;
    }
    assert_eq!(house.slots("limited").await, 0);
}

#[tokio::test]
async fn jobs_without_a_lease_are_left_alone() {
    let house = tasks::House::start().await;
    let service = &house.service;
    create(service, &json!({ "type": "scrape" })).await;
    let bulk = house.function("bulk-jobs", house.endpoint(), jobledger::lambda::system_clock).await;
    let body = json!({ "action": "cancel", "filter": { "type": "scrape" } });
    let reply = bulk.call(&Request::new("POST", "/v1/jobs/bulk").body(body.to_string())).await;
    let bulk = text(reply.at("/job_id"));
    let id = create(service, &json!({ "type": "reported" })).await;
    let report = json!({ "status": "running" });
    service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
    service.settled().await;

    let watcher = house.function("reap-leases", house.endpoint(), thorough).await;
    let said = look(&watcher).await;
    assert_eq!(ended(&said), NOTHING, "{said}");
    assert_eq!((&said["running"], &said["held"]), (&json!(1), &json!(0)), "{said}");
    for id in [bulk, id] {
        assert_eq!(house.job(&id).await["status"], "running");
    }
}

/// The counter stands still: the counts say that nothing runs.
#[tokio::test]
async fn what_is_not_counted_is_found_in_each_tenth_minute() {
    let house = House::start().await;
    let (id, _) = house.claimed(&json!({ "type": "scrape" })).await;
    house.service.settled().await;
    let tallies = house.table("TALLIES_TABLE").to_owned();
    for item in house.dynamo.scan(&tallies).await {
        let zeroed: Vec<_> = item
            .iter()
            .filter(|(name, _)| !name.starts_with("alive:"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        house.dynamo.put(&tallies, &zeroed.into_iter().collect()).await;
    }
    let said = look(&house.watcher(later).await).await;
    assert_eq!((ended(&said), &said["owners"]), (NOTHING, &json!(0)));
    let said = look(&house.watcher(thorough).await).await;
    assert_eq!((ended(&said), &said["owners"]), (Ended { failed: 1, ..NOTHING }, &json!(1)));
    assert_eq!(house.job(&id).await["error"]["code"], "lease_expired");
}

#[tokio::test]
async fn a_look_at_nothing_costs_next_to_nothing() {
    let house = House::start().await;
    // Jobs of a few owners, that have all ended.
    for owner in ["ann", "bob", "default"] {
        let path = format!("/v1/jobs?owner={owner}");
        let reply = house.service.post(&path, &json!({ "type": "scrape" })).expect(201).await;
        let path = format!("/v1/jobs/{}/cancel?owner={owner}", text(reply.at("/job_id")));
        house.service.call("POST", &path).expect(200).await;
    }
    house.service.settled().await;
    let meter = Arc::new(Meter::default());
    let names = Environment { meter: Some(Arc::clone(&meter)), clock: later, ..house.names.clone() };
    let watcher = Alone::start("reap-leases", names).await;
    for _ in 0..2 {
        meter.take();
        let said = look(&watcher).await;
        assert_eq!((ended(&said), &said["whole"]), (NOTHING, &json!(true)));
        let spent = meter.take();
        assert_eq!(spent.requests, 2, "the counts, and a note that says so: {spent:?}");
        assert!(spent.read_units <= 1.0 && spent.write_units <= 1.0, "{spent:?}");
    }
    // One job of one owner runs: that owner's running jobs are looked at, and nobody else's.
    house.claimed(&json!({ "type": "scrape" })).await;
    house.service.settled().await;
    meter.take();
    let said = look(&watcher).await;
    assert_eq!((&said["owners"], &said["failed"]), (&json!(1), &json!(1)), "{said}");
    let spent = meter.take();
    assert!(spent.requests <= 9 && spent.read_units <= 5.0, "{spent:?}");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_does_not_stop_the_others() {
    let house = House::start().await;
    let (bad, _) = house.claimed(&json!({ "type": "bad" })).await;
    let (good, _) = house.claimed(&json!({ "type": "good" })).await;
    let mut head = house.head(&bad).await;
    head.insert("lease_token".to_owned(), json!({ "S": "no token" }));
    house.dynamo.put(house.table("JOBS_TABLE"), &head).await;
    house.ends(later, Ended { failed: 1, errors: 1, ..NOTHING }).await;
    assert_eq!(house.job(&good).await["status"], "failed");
    assert!(house.note().await.is_some(), "the rest is told all the same");
}

#[tokio::test]
async fn a_look_ends_before_its_time_does() {
    let house = House::start().await;
    let (id, _) = house.claimed(&json!({ "type": "scrape" })).await;
    house.service.settled().await;
    let watcher = house.watcher(later).await.ends_in(Duration::from_secs(5));
    let said: Value = look(&watcher).await;
    assert_eq!((ended(&said), &said["whole"]), (NOTHING, &json!(false)), "{said}");
    assert_eq!(house.note().await, None, "what is half known is not told");
    assert_eq!(house.job(&id).await["status"], "running");
}
