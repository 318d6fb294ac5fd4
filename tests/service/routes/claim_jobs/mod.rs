//! `POST /v1/jobs/claim`.

mod due;
mod limits;
mod order;
mod races;
mod refusals;

use jobledger_tests::{Call, Reply, Service};
use serde_json::{Value, json};

use super::{create, text};
use crate::access::add_key;

/// A job that somebody holds.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// Its id.
    pub(crate) id: String,
    /// What it is reported on with.
    pub(crate) token: String,
    /// All that the claim told.
    pub(crate) job: Value,
}

impl Held {
    pub(crate) fn of(job: &Value) -> Self {
        Self { id: text(&job["job_id"]), token: text(&job["lease_token"]), job: job.clone() }
    }

    /// A report with its token.
    pub(crate) fn report(&self, service: &Service, report: &Value) -> Call {
        let mut report = report.clone();
        report["lease_token"] = json!(self.token);
        service.call("PATCH", &format!("/v1/jobs/{}", self.id)).json(&report)
    }

    /// A report that must be taken.
    pub(crate) async fn tell(&self, service: &Service, report: &Value) -> Reply {
        self.report(service, report).expect(200).await
    }
}

/// What a claim answers, which must succeed.
pub(crate) async fn claim(service: &Service, body: &Value) -> Vec<Held> {
    let reply = service.post("/v1/jobs/claim", body).expect(200).await;
    reply.at("/jobs").as_array().expect("jobs").iter().map(Held::of).collect()
}

/// Claims as many jobs of a type as there are, up to `max`.
pub(crate) async fn claim_of(service: &Service, kind: &str, max: usize) -> Vec<Held> {
    claim(service, &json!({ "worker_id": "w", "types": [kind], "max": max })).await
}

/// Creates a job and claims it; nothing else of its type may wait.
pub(crate) async fn held(service: &Service, body: &Value) -> Held {
    let id = create(service, body).await;
    let mut claimed = claim_of(service, body["type"].as_str().expect("a type"), 1).await;
    let held = claimed.pop().expect("the job");
    assert_eq!(held.id, id);
    held
}

/// Puts a type's settings.
pub(crate) async fn set_type(service: &Service, kind: &str, settings: &Value) {
    service.call("PUT", &format!("/v1/types/{kind}")).json(settings).expect(200).await;
}

/// How many slots of a type are taken.
async fn slots(service: &Service, kind: &str) -> Value {
    service.get(&format!("/v1/types/{kind}")).expect(200).await.at("/running").clone()
}

/// Which jobs, in the order in which they were given.
pub(crate) fn ids_of(claimed: &[Held]) -> Vec<&str> {
    claimed.iter().map(|held| held.id.as_str()).collect()
}

#[tokio::test]
async fn a_job_is_claimed_once_reported_on_and_completed() {
    let service = Service::start().await;
    let job = held(&service, &json!({ "type": "scrape", "payload": { "url": "x" }, "name": "one" })).await;
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
    // What lists and counts say follows.
    service.settled().await;
    assert_eq!(super::total(&service, "status=completed&type=scrape").await, 1);
    assert_eq!(super::total(&service, "status=running").await, 0);
}

/// A claim tells what a worker needs to begin: all that `GET` tells, and what it holds the job by.
#[tokio::test]
async fn a_claim_tells_the_whole_job() {
    let service = Service::start().await;
    let body = json!({
        "type": "scrape", "priority": 3, "payload": { "url": "x" }, "metadata": { "a": 1 }, "name": "one",
        "labels": { "team": "t" }, "max_attempts": 4, "timeout_seconds": 600, "external_id": "e", "ttl_hours": 1,
    });
    let id = create(&service, &body).await;
    let request = json!({ "worker_id": "host-1:7_a.b", "types": ["scrape"], "lease_seconds": 30 });
    let Held { job, token, .. } = claim(&service, &request).await.remove(0);
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
    // Nobody else learns the token: not by a list, nor by the job.
    assert!(!whole.to_string().contains(&token));
    assert!(!service.get("/v1/jobs").expect(200).await.text.contains(&token));
}

#[tokio::test]
async fn a_lease_is_a_minute_unless_said_and_ends_with_the_try() {
    let service = Service::start().await;
    let length = |held: &Held| {
        let time = |name: &str| jobledger::domain::Timestamp::parse(&text(&held.job[name])).expect("a time");
        time("lease_expires_at").since(time("started_at"))
    };
    assert_eq!(length(&held(&service, &json!({ "type": "a" })).await), 60_000);
    assert_eq!(length(&held(&service, &json!({ "type": "a", "timeout_seconds": 7 })).await), 7_000);
    // A type's timeout holds for jobs that have none of their own.
    set_type(&service, "b", &json!({ "timeout_seconds": 20 })).await;
    assert_eq!(length(&held(&service, &json!({ "type": "b" })).await), 20_000);
    assert_eq!(length(&held(&service, &json!({ "type": "b", "timeout_seconds": 5 })).await), 5_000);
    assert_eq!(length(&held(&service, &json!({ "type": "b", "timeout_seconds": 500 })).await), 60_000);
}

#[tokio::test]
async fn payloads_of_any_size_come_with_the_claim() {
    let service = Service::start().await;
    for payload in
        [json!("x".repeat(250 * 1024)), json!((0..30_000).map(|n| n * 7_919 % 99_991).collect::<Vec<_>>())]
    {
        create(&service, &json!({ "type": "a", "payload": payload })).await;
        let claimed = claim_of(&service, "a", 1).await;
        assert_eq!(claimed[0].job["payload"], payload);
    }
    // Ten at once fit into an answer.
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
async fn another_owners_jobs_are_never_given() {
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
async fn a_failed_try_waits_and_comes_again() {
    let service = Service::start().await;
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
