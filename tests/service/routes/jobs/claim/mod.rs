//! `POST /v1/jobs/claim`.

mod acknowledged;
mod due;
mod limits;
mod order;
mod races;
mod refusals;
mod waits;

use jobledger_tests::claims::{ClaimedJob, claim, claim_of, create_and_claim, set_type};
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::{Service, text};
use serde_json::json;

#[tokio::test]
async fn a_job_is_claimed_once_reported_on_and_completed() {
    let service = Service::shared().await;
    let job =
        create_and_claim(&service, &json!({ "type": "scrape", "payload": { "url": "x" }, "name": "one" }))
            .await;
    assert!(claim_of(&service, "scrape", 10).await.is_empty());
    assert_eq!((&job.job["payload"], &job.job["attempt"]), (&json!({ "url": "x" }), &json!(1)));
    let reply =
        job.tell(&service, &json!({ "progress": { "current_task": "a", "overall_progress": 40 } })).await;
    assert_eq!(reply.at("/progress/overall_progress"), 40);
    for _ in 0..2 {
        let reply = job.tell(&service, &json!({ "status": "completed", "result": { "ok": true } })).await;
        assert_eq!(reply.at("/status"), "completed");
    }
    let whole = service.get(&format!("/v1/jobs/{}", job.id)).expect(200).await;
    assert_eq!((whole.at("/result"), whole.at("/attempts/0/worker")), (&json!({ "ok": true }), &json!("w")));
    // Lists and counts follow.
    service.settled().await;
    assert_eq!(jobledger_tests::jobs::total(&service, "status=completed&type=scrape").await, 1);
    assert_eq!(jobledger_tests::jobs::total(&service, "status=running").await, 0);
}

/// A claim returns all that a worker needs: the whole job, and its lease.
#[tokio::test]
async fn a_claim_returns_the_whole_job() {
    let service = Service::shared().await;
    let body = json!({
        "type": "scrape", "priority": 3, "payload": { "url": "x" }, "metadata": { "a": 1 }, "name": "one",
        "labels": { "team": "t" }, "max_attempts": 4, "timeout_seconds": 600, "external_id": "e", "ttl_hours": 1,
    });
    let id = create(&service, &body).await;
    let request = json!({ "worker_id": "host-1:7_a.b", "types": ["scrape"], "lease_seconds": 30 });
    let ClaimedJob { job, token, .. } = claim(&service, &request).await.remove(0);
    let whole = service.get(&format!("/v1/jobs/{id}")).expect(200).await.json;
    let mut expect = whole.clone();
    expect["lease_token"] = json!(token);
    assert_eq!(job, expect);
    let told = |name: &str| job[name].clone();
    assert_eq!((told("status"), told("worker_id")), (json!("running"), json!("host-1:7_a.b")));
    assert_eq!((told("payload"), told("metadata")), (json!({ "url": "x" }), json!({ "a": 1 })));
    assert_eq!((told("attempt"), told("max_attempts"), told("attempts")), (json!(1), json!(4), json!([])));
    assert_eq!((told("timeout_seconds"), told("external_id")), (json!(600), json!("e")));
    for name in ["available_at", "completed_at", "expires_at", "error"] {
        assert!(told(name).is_null(), "{name}: {job}");
    }
    let time = |name: &str| jobledger::domain::Timestamp::parse(&text(&job[name])).expect("a time");
    assert_eq!(time("lease_expires_at").since(time("started_at")), 30_000);
    assert_eq!(time("started_at"), time("updated_at"));
    // The token appears nowhere else: neither in lists nor in the job.
    assert!(!whole.to_string().contains(&token));
    assert!(!service.get("/v1/jobs").expect(200).await.text.contains(&token));
}

#[tokio::test]
async fn a_lease_is_a_minute_by_default_and_ends_with_the_timeout() {
    let service = Service::shared().await;
    let length = |held: &ClaimedJob| {
        let time = |name: &str| jobledger::domain::Timestamp::parse(&text(&held.job[name])).expect("a time");
        time("lease_expires_at").since(time("started_at"))
    };
    assert_eq!(length(&create_and_claim(&service, &json!({ "type": "a" })).await), 60_000);
    assert_eq!(
        length(&create_and_claim(&service, &json!({ "type": "a", "timeout_seconds": 7 })).await),
        7_000
    );
    // A type's timeout applies to jobs without their own.
    set_type(&service, "b", &json!({ "timeout_seconds": 20 })).await;
    assert_eq!(length(&create_and_claim(&service, &json!({ "type": "b" })).await), 20_000);
    assert_eq!(
        length(&create_and_claim(&service, &json!({ "type": "b", "timeout_seconds": 5 })).await),
        5_000
    );
    assert_eq!(
        length(&create_and_claim(&service, &json!({ "type": "b", "timeout_seconds": 500 })).await),
        60_000
    );
}

#[tokio::test]
async fn payloads_of_any_size_come_with_the_claim() {
    let service = Service::shared().await;
    for payload in
        [json!("x".repeat(250 * 1024)), json!((0..30_000).map(|n| n * 7_919 % 99_991).collect::<Vec<_>>())]
    {
        create(&service, &json!({ "type": "a", "payload": payload })).await;
        let claimed = claim_of(&service, "a", 1).await;
        assert_eq!(claimed[0].job["payload"], payload);
    }
    // An answer has room for ten such jobs.
    for number in 0..10 {
        create(&service, &json!({ "type": "b", "payload": format!("{number}{}", "x".repeat(250 * 1024)) }))
            .await;
    }
    let claimed = claim_of(&service, "b", 10).await;
    assert_eq!(claimed.len(), 10);
    for (number, held) in claimed.iter().enumerate() {
        assert!(text(&held.job["payload"]).starts_with(&number.to_string()));
    }
}

#[tokio::test]
async fn another_owners_jobs_are_never_claimed() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["work"], None).await;
    create(&service, &json!({ "type": "a" })).await;
    let claim_theirs = || {
        let body = json!({ "worker_id": "w", "types": ["a"], "max": 10 });
        service.anonymous("POST", "/v1/jobs/claim").header("x-api-key", "others").json(&body).expect(200)
    };
    assert_eq!(claim_theirs().await.json, json!({ "jobs": [] }));
    let theirs = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let claimed = claim_theirs().await;
    assert_eq!(claimed.at("/jobs/0/job_id"), theirs.at("/job_id"));
    assert!(claimed.at("/jobs/1").is_null());
    // An admin may claim for another owner.
    service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let body = json!({ "worker_id": "w", "types": ["a"] });
    let reply = service.post("/v1/jobs/claim?owner=other", &body).expect(200).await;
    assert_eq!(reply.at("/jobs/0/owner"), "other");
    assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_queued_again() {
    let service = Service::shared().await;
    set_type(&service, "scrape", &json!({ "backoff_seconds": 0, "max_concurrency": 1 })).await;
    for _ in 0..2 {
        create(&service, &json!({ "type": "scrape", "max_attempts": 2 })).await;
    }
    let first = claim_of(&service, "scrape", 10).await;
    assert_eq!(first.len(), 1, "{first:?}");
    let failed = json!({ "status": "failed", "error": { "message": "no", "code": "e1" } });
    let reply = first[0].tell(&service, &failed).await;
    assert_eq!((reply.at("/status"), reply.at("/attempt")), (&json!("queued"), &json!(1)));
    assert_eq!(claim_of(&service, "scrape", 10).await.len(), 1);
}
