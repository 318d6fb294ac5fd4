//! The attempts that a run ends, and the jobs that it leaves alone.

use std::sync::Arc;
use std::time::Duration;

use jobledger::Environment;
use jobledger::meter::Meter;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::jobs::create;
use jobledger_tests::log::LogLines;
use jobledger_tests::text;
use serde_json::{Value, json};

use super::{Ended, NOTHING, ReaperFixture, before, ended, later, look, much_later, thorough};
use jobledger_tests::background;

#[tokio::test]
async fn a_job_with_an_expired_lease_is_queued_and_fails_at_its_last_attempt() {
    let fixture = ReaperFixture::start().await;
    let (id, token) = fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
    fixture.ends(before, NOTHING).await;
    assert_eq!(fixture.job(&id).await["status"], "running");
    fixture.ends(later, Ended { queued: 1, ..NOTHING }).await;

    let job = fixture.job(&id).await;
    assert_eq!((&job["status"], &job["attempt"]), (&json!("queued"), &json!(1)), "{job}");
    let tried = &job["attempts"][0];
    assert_eq!((&tried["number"], &tried["worker"]), (&json!(1), &json!("w")), "{job}");
    assert_eq!(tried["error"]["code"], "lease_expired", "{job}");
    assert!(job["available_at"].as_str() > tried["ended_at"].as_str(), "it waits for a while: {job}");
    let report = json!({ "lease_token": token, "status": "completed" });
    let path = format!("/v1/jobs/{id}");
    let reply = fixture.service.call("PATCH", &path).json(&report).expect(409).await;
    assert_eq!(reply.at("/code"), "lease_lost");

    // A second run changes nothing. The worker abandons the next attempt, too.
    fixture.ends(later, NOTHING).await;
    assert_eq!(fixture.claims_at(much_later, "scrape").await.len(), 1);
    fixture.ends(|| much_later().plus_millis(9_000), NOTHING).await;
    fixture.ends(|| much_later().plus_millis(11_000), Ended { failed: 1, ..NOTHING }).await;
    let job = fixture.job(&id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("lease_expired")), "{job}");
    let workers: Vec<_> =
        job["attempts"].as_array().expect("tries").iter().map(|one| &one["worker"]).collect();
    assert_eq!(workers, ["w", "w2"], "{job}");
    assert!(job["expires_at"].is_string(), "{job}");
}

#[tokio::test]
async fn the_log_tells_of_each_expired_lease() {
    let fixture = ReaperFixture::start().await;
    let (id, _) =
        fixture.claimed(&json!({ "type": "scrape", "payload": "a secret", "max_attempts": 2 })).await;
    let (log, _listening) = LogLines::listen(&fixture.service).await;
    fixture.ends(before, NOTHING).await;
    fixture.ends(later, Ended { queued: 1, ..NOTHING }).await;
    fixture.ends(later, NOTHING).await;
    let lines = log.lines();
    let lines: Vec<_> = lines.iter().filter(|line| line["message"] == "a lease expired").collect();
    let expected = json!({
        "message": "a lease expired", "job_id": id, "owner": "default", "type": "scrape", "attempt": 1, "worker": "w",
        "status": "queued",
    });
    assert_eq!(lines, [&expected]);
    assert!(!log.all().contains("a secret"));
}

#[tokio::test]
async fn an_attempt_over_its_timeout_ends_with_code_timeout() {
    let fixture = ReaperFixture::start().await;
    let (long, token) =
        fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2, "timeout_seconds": 3_000 })).await;
    let (short, _) = fixture.claimed(&json!({ "type": "scrape", "timeout_seconds": 2 })).await;
    let report = json!({ "lease_token": token, "lease_seconds": 900 });
    fixture.service.call("PATCH", &format!("/v1/jobs/{long}")).json(&report).expect(200).await;
    fixture.ends(later, Ended { queued: 1, failed: 1, ..NOTHING }).await;
    let (long, short) = (fixture.job(&long).await, fixture.job(&short).await);
    assert_eq!(long["attempts"][0]["error"]["code"], "lease_expired", "its time was not over: {long}");
    assert_eq!(short["error"]["code"], "timeout", "{short}");
    assert_eq!(short["attempts"][0]["error"]["code"], "timeout", "{short}");
}

#[tokio::test]
async fn an_ended_attempt_frees_its_slot() {
    let fixture = ReaperFixture::start().await;
    fixture.limit("scrape", &json!({ "max_concurrency": 1, "backoff_seconds": 0 })).await;
    let (_, _) = fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
    assert_eq!(fixture.slots("scrape").await, 1);
    create(&fixture.service, &json!({ "type": "scrape" })).await;
    assert!(fixture.claims_at(later, "scrape").await.is_empty(), "as many run as may");
    fixture.ends(later, Ended { queued: 1, ..NOTHING }).await;
    assert_eq!(fixture.slots("scrape").await, 0);
    assert_eq!(fixture.claims_at(later, "scrape").await.len(), 1);
    assert_eq!(fixture.slots("scrape").await, 1);
}

/// The reaper has read the head when the worker reports.
#[tokio::test]
async fn a_report_that_arrives_first_wins() {
    let fixture = ReaperFixture::start().await;
    fixture.limit("limited", &json!({ "max_concurrency": 1 })).await;
    for kind in ["free", "limited"] {
        let (id, token) = fixture.claimed(&json!({ "type": kind })).await;
        let stale = fixture.head(&id).await;
        let report = json!({ "lease_token": token, "progress": { "overall_progress": 40 } });
        fixture.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
        fixture.service.settled().await;
        let proxy = Proxy::start(fixture.service.stack.dynamodb_endpoint()).await;
        let watcher = fixture.function("reap-leases", proxy.url(), later).await;
        let jobs = fixture.table("JOBS_TABLE").to_owned();
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
        let job = fixture.job(&id).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("running"), &json!(1)), "{job}");
        let end = json!({ "lease_token": token, "status": "completed" });
        fixture.service.call("PATCH", &format!("/v1/jobs/{id}")).json(&end).expect(200).await;
    }
    assert_eq!(fixture.slots("limited").await, 0);
}

#[tokio::test]
async fn jobs_without_a_lease_are_left_alone() {
    let fixture = background::BackgroundFixture::start().await;
    let service = &fixture.service;
    create(service, &json!({ "type": "scrape" })).await;
    let bulk = fixture.function("bulk-jobs", fixture.endpoint(), jobledger::lambda::system_clock).await;
    let body = json!({ "action": "cancel", "filter": { "type": "scrape" } });
    let reply = bulk.call(&Request::new("POST", "/v1/jobs/bulk").body(body.to_string())).await;
    let bulk = text(reply.at("/job_id"));
    let id = create(service, &json!({ "type": "reported" })).await;
    let report = json!({ "status": "running" });
    service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
    service.settled().await;

    let watcher = fixture.function("reap-leases", fixture.endpoint(), thorough).await;
    let said = look(&watcher).await;
    assert_eq!(ended(&said), NOTHING, "{said}");
    assert_eq!((&said["running"], &said["held"]), (&json!(1), &json!(0)), "{said}");
    for id in [bulk, id] {
        assert_eq!(fixture.job(&id).await["status"], "running");
    }
}

/// The counter is late: by the counts, no job runs.
#[tokio::test]
async fn every_tenth_minute_the_reaper_finds_jobs_that_are_not_counted() {
    let fixture = ReaperFixture::start().await;
    let (id, _) = fixture.claimed(&json!({ "type": "scrape" })).await;
    fixture.service.settled().await;
    let tallies = fixture.table("TALLIES_TABLE").to_owned();
    for item in fixture.dynamo.scan(&tallies).await {
        let zeroed: Vec<_> = item
            .iter()
            .filter(|(name, _)| !name.starts_with("alive:"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        fixture.dynamo.put(&tallies, &zeroed.into_iter().collect()).await;
    }
    let said = look(&fixture.watcher(later).await).await;
    assert_eq!((ended(&said), &said["owners"]), (NOTHING, &json!(0)));
    let said = look(&fixture.watcher(thorough).await).await;
    assert_eq!((ended(&said), &said["owners"]), (Ended { failed: 1, ..NOTHING }, &json!(1)));
    assert_eq!(fixture.job(&id).await["error"]["code"], "lease_expired");
}

#[tokio::test]
async fn a_run_without_running_jobs_costs_next_to_nothing() {
    let fixture = ReaperFixture::start().await;
    // Jobs of several owners, all ended.
    for owner in ["ann", "bob", "default"] {
        let path = format!("/v1/jobs?owner={owner}");
        let reply = fixture.service.post(&path, &json!({ "type": "scrape" })).expect(201).await;
        let path = format!("/v1/jobs/{}/cancel?owner={owner}", text(reply.at("/job_id")));
        fixture.service.call("POST", &path).expect(200).await;
    }
    fixture.service.settled().await;
    let meter = Arc::new(Meter::default());
    let names = Environment { meter: Some(Arc::clone(&meter)), clock: later, ..fixture.names.clone() };
    let watcher = Alone::start("reap-leases", names).await;
    for _ in 0..2 {
        meter.take();
        let said = look(&watcher).await;
        assert_eq!((ended(&said), &said["whole"]), (NOTHING, &json!(true)));
        let spent = meter.take();
        assert_eq!(spent.requests, 3, "the counts, a note that says so, and the time of the run: {spent:?}");
        assert!(spent.read_units <= 1.0 && spent.write_units <= 2.0, "{spent:?}");
    }
    // One owner has a running job. The reaper reads that owner's running jobs only.
    fixture.claimed(&json!({ "type": "scrape" })).await;
    fixture.service.settled().await;
    meter.take();
    let said = look(&watcher).await;
    assert_eq!((&said["owners"], &said["failed"]), (&json!(1), &json!(1)), "{said}");
    let spent = meter.take();
    assert!(spent.requests <= 10 && spent.read_units <= 5.0, "{spent:?}");
}

#[tokio::test]
async fn a_head_that_cannot_be_read_does_not_stop_the_others() {
    let fixture = ReaperFixture::start().await;
    let (bad, _) = fixture.claimed(&json!({ "type": "bad" })).await;
    let (good, _) = fixture.claimed(&json!({ "type": "good" })).await;
    let mut head = fixture.head(&bad).await;
    head.insert("lease_token".to_owned(), json!({ "S": "no token" }));
    fixture.dynamo.put(fixture.table("JOBS_TABLE"), &head).await;
    fixture.ends(later, Ended { failed: 1, errors: 1, ..NOTHING }).await;
    assert_eq!(fixture.job(&good).await["status"], "failed");
    assert!(fixture.note().await.is_some(), "the rest is told all the same");
}

#[tokio::test]
async fn a_run_ends_before_its_timeout() {
    let fixture = ReaperFixture::start().await;
    let (id, _) = fixture.claimed(&json!({ "type": "scrape" })).await;
    fixture.service.settled().await;
    let watcher = fixture.watcher(later).await.ends_in(Duration::from_secs(5));
    let said: Value = look(&watcher).await;
    assert_eq!((ended(&said), &said["whole"]), (NOTHING, &json!(false)), "{said}");
    assert_eq!(fixture.note().await, None, "what is half known is not told");
    assert_eq!(fixture.job(&id).await["status"], "running");
}
