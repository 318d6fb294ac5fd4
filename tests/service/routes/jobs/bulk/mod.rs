//! `POST /v1/jobs/bulk`, with the function that runs its task.

mod named;
mod refusals;

use jobledger_tests::jobs::{create, ingest, ingest_many, total};
use jobledger_tests::metrics::Samples;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

/// More jobs than two parts have.
const MANY: usize = 250;

/// Begins a bulk action; returns the answer, which names its job.
async fn bulk(service: &Service, action: &str, filter: &Value) -> Reply {
    service.post("/v1/jobs/bulk", &json!({ "action": action, "filter": filter })).expect(202).await
}

/// Begins a bulk action, waits until its job is completed and counted, and returns the job.
async fn bulk_done(service: &Service, action: &str, filter: &Value) -> Value {
    let reply = bulk(service, action, filter).await;
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
    assert_eq!(job.at("/status"), "completed", "{}", job.text);
    job.json
}

/// The numbers of a bulk job that skipped and failed nothing.
fn numbers(action: &str, changed: usize) -> Value {
    json!({ "action": action, "matched": changed, "changed": changed, "skipped": 0, "failed": 0 })
}

#[tokio::test]
async fn a_bulk_cancel_cancels_the_jobs_of_its_filter_only() {
    let service = Service::start().await;
    ingest_many(&service, "default", "a", MANY, &["queued", "queued", "running", "completed", "failed"])
        .await;
    ingest_many(&service, "default", "b", 3, &["queued"]).await;
    ingest_many(&service, "other", "a", 3, &["queued"]).await;
    let reply = bulk(&service, "cancel", &json!({ "type": "a" })).await;
    let id = text(reply.at("/job_id"));
    assert_eq!(reply.header("location"), Some(format!("/v1/jobs/{id}").as_str()));
    assert_eq!((reply.at("/type"), reply.at("/status")), (&json!("bulk"), &json!("running")));
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!(job.at("/status"), "completed", "{}", job.text);
    assert_eq!(job.at("/result"), &numbers("cancel", 150));
    assert_eq!(job.at("/payload"), &json!({ "action": "cancel", "filter": { "type": "a" } }));
    assert_eq!(job.at("/progress/overall_progress"), 100);
    for name in ["/started_at", "/completed_at", "/expires_at"] {
        assert!(job.at(name).is_string(), "{name}: {}", job.text);
    }
    for (query, expected) in [
        ("type=a&status=queued,running", 0),
        ("type=a&status=cancelled", 150),
        ("type=a&status=completed", 50),
        ("type=a&status=failed", 50),
        ("type=b&status=queued", 3),
        ("type=a&status=queued&owner=other", 3),
        ("type=bulk&status=completed", 1),
        ("status=running", 0),
    ] {
        assert_eq!(total(&service, query).await, expected, "{query}");
    }
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", "150");
}

#[tokio::test]
async fn a_bulk_retry_queues_failed_and_cancelled_jobs() {
    let service = Service::shared().await;
    ingest_many(
        &service,
        &service.owner,
        "a",
        MANY,
        &["failed", "cancelled", "completed", "failed", "queued"],
    )
    .await;
    let job = bulk_done(&service, "retry", &json!({ "type": "a" })).await;
    assert_eq!(job["result"], numbers("retry", 150));
    assert_eq!(total(&service, "type=a&status=queued").await, 200);
    assert_eq!(total(&service, "type=a&status=completed").await, 50);
    assert_eq!(total(&service, "type=a&status=failed,cancelled").await, 0);
    let list = service.get("/v1/jobs?type=a&status=queued&limit=100").expect(200).await;
    for job in list.at("/jobs").as_array().expect("jobs") {
        assert!(
            job["available_at"].is_string() && job["attempt"].as_u64() < job["max_attempts"].as_u64(),
            "{job}"
        );
        for name in ["error", "started_at", "completed_at", "expires_at", "duration_ms"] {
            assert!(job[name].is_null(), "{name}: {job}");
        }
    }
    // The jobs are in the queue: a new job stands behind them all.
    let next = service.post("/v1/jobs", &json!({ "type": "a" })).expect(201).await;
    assert_eq!(next.at("/position_in_queue"), 201);
}

#[tokio::test]
async fn a_bulk_delete_deletes_jobs_of_every_status() {
    let service = Service::shared().await;
    ingest_many(
        &service,
        &service.owner,
        "a",
        MANY,
        &["queued", "running", "completed", "failed", "cancelled"],
    )
    .await;
    create(&service, &json!({ "type": "b" })).await;
    let job = bulk_done(&service, "delete", &json!({ "type": "a" })).await;
    assert_eq!(job["result"], numbers("delete", MANY));
    assert_eq!(total(&service, "type=a").await, 0);
    assert_eq!(total(&service, "").await, 2, "the other job, and the one that did it");
    assert_eq!(service.get("/v1/jobs?type=a").expect(200).await.at("/jobs"), &json!([]));
}

#[tokio::test]
async fn only_the_statuses_that_are_asked_for_are_changed() {
    let service = Service::shared().await;
    ingest_many(
        &service,
        &service.owner,
        "a",
        10,
        &["queued", "running", "completed", "failed", "cancelled"],
    )
    .await;
    let filter =
        json!({ "type": ["a", "b"], "status": ["failed", "running"], "created_after": "2026-01-01" });
    let job = bulk_done(&service, "delete", &filter).await;
    assert_eq!(job["result"], numbers("delete", 4));
    assert_eq!(total(&service, "type=a&status=queued,completed,cancelled").await, 6);
    let job = bulk_done(&service, "cancel", &json!({ "status": "queued,failed" })).await;
    assert_eq!(job["result"], numbers("cancel", 2));
    let job = bulk_done(&service, "retry", &json!({ "status": "failed", "type": "a" })).await;
    assert_eq!(job["result"], numbers("retry", 0));
    assert_eq!(total(&service, "type=a&status=cancelled").await, 4);
    assert_eq!(total(&service, "type=bulk&status=completed").await, 3, "none took the others");
    // No job is newer than this date.
    let job = bulk_done(&service, "delete", &json!({ "created_after": "2126-01-01", "priority": 3 })).await;
    assert_eq!(job["result"], numbers("delete", 0));
}

/// Filters without a count find their jobs, too.
#[tokio::test]
async fn every_filter_of_a_list_finds_its_jobs() {
    let service = Service::shared().await;
    for (team, priority) in [("red", 1), ("red", 2), ("blue", 1)] {
        let job = json!({ "type": "a", "priority": priority, "labels": { "team": team }, "name": format!("{team} one") });
        create(&service, &job).await;
    }
    for (filter, left) in [
        (json!({ "team": "red", "priority": 2 }), 2),
        (json!({ "search": "RED" }), 1),
        (json!({ "priority": 1 }), 0),
    ] {
        let job = bulk_done(&service, "delete", &filter).await;
        assert_eq!(job["result"], numbers("delete", 1), "{filter}");
        assert_eq!(total(&service, "type=a").await, left, "{filter}");
    }
}

#[tokio::test]
async fn the_same_key_finds_the_same_job() {
    let service = Service::shared().await;
    ingest_many(&service, &service.owner, "a", 3, &["queued"]).await;
    let ask = |key: &str, action: &str| {
        let body = json!({ "action": action, "filter": { "type": "a" } });
        service.post("/v1/jobs/bulk", &body).header("idempotency-key", key)
    };
    let first = ask("k", "cancel").expect(202).await;
    assert_eq!(ask("k", "cancel").expect(202).await.at("/job_id"), first.at("/job_id"));
    service.settled().await;
    let again = ask("k", "cancel").expect(202).await;
    assert_eq!((again.at("/job_id"), again.at("/status")), (first.at("/job_id"), &json!("completed")));
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{}", text(first.at("/job_id")))).expect(200).await;
    assert_eq!(job.at("/result"), &numbers("cancel", 3));
    assert_eq!(
        stored_parts(&service, &text(first.at("/job_id"))).await.len(),
        4,
        "head, key, input and output"
    );
    is_problem(&ask("k", "delete").send().await, 422, "idempotency_key_reused");
    let job = service.post("/v1/jobs", &json!({ "type": "a" })).header("idempotency-key", "k");
    is_problem(&job.send().await, 422, "idempotency_key_reused");
    let job = json!({ "type": "a", "external_id": "x" });
    service.post("/v1/jobs", &job).header("idempotency-key", "other").expect(201).await;
    is_problem(&ask("other", "cancel").send().await, 422, "idempotency_key_reused");
    assert_eq!(total(&service, "type=bulk").await, 1);
    // Once the bulk job is deleted, its key is free, and a new action begins.
    service.call("DELETE", &format!("/v1/jobs/{}", text(first.at("/job_id")))).expect(200).await;
    ask("k", "delete").expect(202).await;
    service.settled().await;
    assert_eq!(total(&service, "type=a").await, 0);
}

#[tokio::test]
async fn an_admin_changes_the_jobs_of_another_owner() {
    let service = Service::start().await;
    ingest_many(&service, "default", "a", 3, &["queued"]).await;
    ingest_many(&service, "other", "a", 3, &["queued"]).await;
    let body = json!({ "action": "cancel", "filter": { "type": "a" } });
    let reply = service.post("/v1/jobs/bulk?owner=other", &body).expect(202).await;
    assert_eq!(reply.at("/owner"), "other");
    service.settled().await;
    assert_eq!(total(&service, "type=a&status=cancelled&owner=other").await, 3);
    assert_eq!(total(&service, "type=a&status=queued").await, 3);
}

#[tokio::test]
async fn callers_cannot_create_jobs_of_reserved_types() {
    let service = Service::shared().await;
    for kind in ["bulk", "recount"] {
        let reply = service.post("/v1/jobs", &json!({ "type": kind, "priority": 11 })).send().await;
        refuses(&reply, 400, "invalid_body", &["priority", "type"]);
        let jobs = json!([{ "external_id": "1", "type": kind, "status": "queued" }]);
        assert_eq!(ingest(&service, &jobs).await, [0, 0, 0, 1]);
    }
    assert_eq!(total(&service, "").await, 0);
}
