//! The place of a new job in its queue, and its expected run time.

use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

async fn position(service: &Service, path: &str, body: Value) -> Option<u64> {
    service.post(path, &body).expect(201).await.at("/position_in_queue").as_u64()
}

#[tokio::test]
async fn the_position_counts_jobs_of_higher_priority_and_older_ones() {
    for shards in ["1", "4"] {
        let service = Service::with(&[("IndexShards", shards)]).await;
        let check = async |kind: &str, priority: u8, expect: u64| {
            let body = json!({ "type": kind, "priority": priority });
            assert_eq!(position(&service, "/v1/jobs", body).await, Some(expect), "{kind} {priority}");
        };
        check("a", 0, 1).await;
        check("a", 0, 2).await;
        check("a", 5, 1).await;
        check("a", 0, 4).await;
        check("a", 5, 2).await;
        check("a", 10, 1).await;
        check("a", 4, 4).await;
        check("a", 0, 8).await;
        // Each type of each owner has its own queue.
        check("b", 0, 1).await;
        assert_eq!(position(&service, "/v1/jobs?owner=other", json!({ "type": "a" })).await, Some(1));
    }
}

#[tokio::test]
async fn jobs_that_are_not_due_do_not_count_for_the_position() {
    let service = Service::shared().await;
    let later = json!({ "type": "a", "available_at": "2100-01-01T00:00:00Z" });
    let planned = service.post("/v1/jobs", &later).expect(201).await;
    assert_eq!(planned.at("/position_in_queue"), &Value::Null);
    assert_eq!(planned.at("/available_at"), "2100-01-01T00:00:00.000Z");
    assert_eq!(position(&service, "/v1/jobs", json!({ "type": "a" })).await, Some(1));
    assert_eq!(position(&service, "/v1/jobs", json!({ "type": "a" })).await, Some(2));
}

#[tokio::test]
async fn jobs_that_are_no_longer_queued_do_not_count_for_the_position() {
    let service = Service::shared().await;
    let first = create(&service, &json!({ "type": "a" })).await;
    let second = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{first}/cancel")).expect(200).await;
    assert_eq!(position(&service, "/v1/jobs", json!({ "type": "a" })).await, Some(2));
    service.call("DELETE", &format!("/v1/jobs/{second}")).expect(200).await;
    assert_eq!(position(&service, "/v1/jobs", json!({ "type": "a" })).await, Some(2));
    let running = json!([{
        "external_id": "r", "type": "a", "status": "running", "started_at": "2026-01-01T00:00:00Z",
    }]);
    assert_eq!(ingest(&service, &running).await, [1, 0, 0, 0]);
    assert_eq!(position(&service, "/v1/jobs", json!({ "type": "a" })).await, Some(3));
}

#[tokio::test]
async fn the_estimate_is_the_mean_of_those_that_ran() {
    let service = Service::start().await;
    let ran = |number: u32, kind: &str, end: &str| {
        json!({
            "external_id": format!("{kind}-{number}"), "type": kind, "status": "completed",
            "started_at": "2026-01-01T00:00:00Z", "completed_at": format!("2026-01-01T00:{end}Z"),
        })
    };
    let jobs = json!([
        ran(1, "a", "00:01.000"), ran(2, "a", "00:02.000"), ran(3, "a", "00:04.500"), ran(4, "b", "10:00.000"),
        // This job never ran, so it does not count for the run time.
        { "external_id": "5", "type": "a", "status": "cancelled", "completed_at": "2026-01-02T00:00:00Z" },
    ]);
    assert_eq!(ingest(&service, &jobs).await, [5, 0, 0, 0]);
    service.settled().await;
    let check = async |path: &str, kind: &str, expect: Option<u64>| {
        let reply = service.post(path, &json!({ "type": kind })).expect(201).await;
        assert_eq!(reply.at("/estimated_duration_seconds").as_u64(), expect, "{path} {kind}");
    };
    // 2.5 s, rounded up to whole seconds.
    check("/v1/jobs", "a", Some(3)).await;
    check("/v1/jobs", "b", Some(600)).await;
    check("/v1/jobs", "c", None).await;
    check("/v1/jobs?owner=other", "a", None).await;
}

#[tokio::test]
async fn a_repeated_call_returns_the_current_position() {
    let service = Service::shared().await;
    let call = || service.post("/v1/jobs", &json!({ "type": "a" })).header("idempotency-key", "k");
    let id = text(call().expect(201).await.at("/job_id"));
    create(&service, &json!({ "type": "a", "priority": 1 })).await;
    assert_eq!(call().expect(200).await.at("/position_in_queue"), 2);
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let again = call().expect(200).await;
    assert_eq!((again.at("/status"), again.at("/position_in_queue")), (&json!("cancelled"), &json!(null)));
}
