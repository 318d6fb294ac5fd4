//! `GET /v1/jobs/{job_id}`.

use std::time::Duration;

use jobledger_tests::jobs::{create, ingest, went_in};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};
use tokio::time::Instant;

const NOBODYS: &str = "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001";

#[tokio::test]
async fn a_job_is_returned_with_every_field() {
    let service = Service::start().await;
    let line = r#"{
        "external_id": "7", "type": "render", "status": "failed", "priority": 3, "name": "a.mp4",
        "created_at": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:01:00+00:00",
        "completed_at": "2026-01-01T01:01:01.250+01:00", "error": { "message": "no GPU", "failed_task": "encode" },
        "labels": { "team": "red" }, "metadata": { "frames": 12 }, "payload": [1.10], "result": {"done":0.30},
        "timings": { "load": 1.50, "encode": 2 }, "cost_usd": "0.1234", "max_attempts": 2, "timeout_seconds": 60,
        "ttl_hours": 1
    }"#;
    let reply = service.call("POST", "/v1/admin/ingest/jobs").body(format!("[{line}]")).expect(200).await;
    assert_eq!(went_in(&reply), [1, 0, 0, 0], "{}", reply.text);
    let list = service.get("/v1/jobs").expect(200).await;
    let id = text(list.at("/jobs/0/job_id"));
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    let [updated_at, expires_at] = ["/updated_at", "/expires_at"].map(|name| text(job.at(name)));
    let expect = json!({
        "job_id": id, "external_id": "7", "owner": "default", "type": "render", "status": "failed", "priority": 3,
        "name": "a.mp4", "error": { "message": "no GPU", "failed_task": "encode", "retry_count": 0 }, "attempt": 1,
        "max_attempts": 2, "attempts": [{
            "number": 1, "worker": null, "started_at": "2026-01-01T00:01:00.000Z",
            "ended_at": "2026-01-01T00:01:01.250Z", "outcome": "failed", "error": { "message": "no GPU", "failed_task": "encode" },
        }], "created_at": "2026-01-01T00:00:00.000Z", "updated_at": updated_at,
        "started_at": "2026-01-01T00:01:00.000Z", "completed_at": "2026-01-01T00:01:01.250Z",
        "expires_at": expires_at, "duration_ms": 1_250, "timeout_seconds": 60,
        "progress": {
            "current_task": null, "current_task_progress": null, "overall_progress": 0, "eta_seconds": null,
        },
        "labels": { "team": "red" }, "metadata": { "frames": 12 }, "payload": [1.1], "result": { "done": 0.3 },
        "timings": { "load": 1.5, "encode": 2 }, "cost_usd": "0.123400", "artifacts": [],
    });
    assert_eq!(job.json, expect);
    for written in [r#""payload":[1.10]"#, r#""result":{"done":0.30}"#] {
        assert!(job.text.contains(written), "{written}: {}", job.text);
    }
}

#[tokio::test]
async fn a_completed_job_is_wholly_done() {
    let service = Service::shared().await;
    let jobs = json!([{
        "external_id": "7", "type": "a", "status": "completed", "started_at": "2026-01-01T00:00:00Z",
        "completed_at": "2026-01-01T00:00:00Z",
    }]);
    ingest(&service, &jobs).await;
    let list = service.get("/v1/jobs").expect(200).await;
    let job = service.get(&format!("/v1/jobs/{}", text(list.at("/jobs/0/job_id")))).expect(200).await;
    assert_eq!((job.at("/progress/overall_progress"), job.at("/duration_ms")), (&json!(100), &json!(0)));
}

#[tokio::test]
async fn a_missing_job_returns_404() {
    let service = Service::shared().await;
    is_problem(&service.get(NOBODYS).send().await, 404, "job_not_found");
    is_problem(&service.get(&format!("{NOBODYS}?wait=25")).send().await, 404, "job_not_found");
}

#[tokio::test]
async fn an_id_that_is_no_uuid_is_refused() {
    let service = Service::shared().await;
    for bad in [
        "1",
        "null",
        "01981b5e7c3a70008000000000000001",
        "%7B01981b5e-7c3a-7000-8000-000000000001%7D",
        "01981b5e-7c3a-7000-8000-00000000000g",
        "01981b5e-7c3a-7000-8000-000000000001%20",
        "%00",
        "%ff",
        "..%2f",
        "urn:uuid:01981b5e-7c3a-7000-8000-000000000001",
    ] {
        let reply = service.get(&format!("/v1/jobs/{bad}")).send().await;
        refuses(&reply, 422, "invalid_query", &["job_id"]);
    }
}

#[tokio::test]
async fn everything_wrong_is_in_one_answer() {
    let service = Service::shared().await;
    for wait in ["26", "-1", "1.5", "soon", "", "1s"] {
        let reply = service.get(&format!("{NOBODYS}?wait={wait}&colour=red&limit=1")).send().await;
        refuses(&reply, 422, "invalid_query", &["wait", "colour", "limit"]);
    }
    let reply = service.get(&format!("{NOBODYS}?wait=1&wait=2")).send().await;
    refuses(&reply, 422, "invalid_query", &["wait"]);
    let reply = service.get("/v1/jobs/mine?wait=26&colour=red").send().await;
    refuses(&reply, 422, "invalid_query", &["job_id", "wait", "colour"]);
}

#[tokio::test]
async fn another_owners_job_is_not_found() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["read"], None).await;
    let id = create(&service, &json!({ "type": "a", "payload": "secret" })).await;
    let path = format!("/v1/jobs/{id}");
    let reply = service.anonymous("GET", &path).header("x-api-key", "others").send().await;
    is_problem(&reply, 404, "job_not_found");
    assert!(!reply.text.contains("secret") && !reply.text.contains("default"), "{}", reply.text);
    // An admin acts for one owner at a time, and sees that owner's jobs.
    is_problem(&service.get(&format!("{path}?owner=other")).send().await, 404, "job_not_found");
    service.get(&format!("{path}?owner=default")).expect(200).await;
    let others =
        text(service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await.at("/job_id"));
    let job = service.get(&format!("/v1/jobs/{others}?owner=other")).expect(200).await;
    assert_eq!(job.at("/owner"), "other");
    service.anonymous("GET", &format!("/v1/jobs/{others}")).header("x-api-key", "others").expect(200).await;
}

#[tokio::test]
async fn the_answer_is_held_until_the_job_ends() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let began = Instant::now();
    let waiting = tokio::spawn(service.get(&format!("/v1/jobs/{id}?wait=25")).send());
    // Meanwhile the job has not ended, so the answer cannot have come.
    for _ in 0..5 {
        assert_eq!(service.get(&format!("/v1/jobs/{id}")).expect(200).await.at("/status"), "queued");
    }
    assert!(!waiting.is_finished());
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let reply = waiting.await.expect("an answer");
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("cancelled")));
    assert!(began.elapsed() < Duration::from_secs(25), "it was held to the end");
}

#[tokio::test]
async fn a_job_that_has_ended_is_returned_at_once() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let began = Instant::now();
    let reply = service.get(&format!("/v1/jobs/{id}?wait=25")).expect(200).await;
    assert_eq!(reply.at("/status"), "cancelled");
    assert!(began.elapsed() < Duration::from_secs(25), "it was held to the end");
}

#[tokio::test]
async fn the_answer_is_held_no_longer_than_asked() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    for (wait, least_ms) in [("0", 0), ("1", 1_000)] {
        let began = Instant::now();
        let reply = service.get(&format!("/v1/jobs/{id}?wait={wait}")).expect(200).await;
        assert_eq!(reply.at("/status"), "queued");
        let took = began.elapsed();
        // The function's clock has whole milliseconds, so its wait may seem to begin one earlier.
        assert!(took + Duration::from_millis(2) >= Duration::from_millis(least_ms), "{wait}: {took:?}");
        assert!(took < Duration::from_secs(25), "{wait}: {took:?}");
    }
}

#[tokio::test]
async fn a_job_that_is_deleted_meanwhile_is_not_found() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let waiting = tokio::spawn(service.get(&format!("/v1/jobs/{id}?wait=25")).send());
    service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    let reply = waiting.await.expect("an answer");
    // The delete first cancels the job, so the call may see either. It never sees a live job.
    match reply.status {
        200 => assert_eq!(reply.at("/status"), "cancelled"),
        _ => is_problem(&reply, 404, "job_not_found"),
    }
}

/// Until a caller reports progress, the mean of the type gives the remaining time.
#[tokio::test]
async fn a_job_that_just_began_takes_as_long_as_others_did() {
    let service = Service::shared().await;
    let done = json!([{
        "external_id": "1", "type": "render", "status": "completed", "created_at": "2026-01-01T00:00:00Z",
        "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T01:00:00Z",
    }]);
    assert_eq!(ingest(&service, &done).await, [1, 0, 0, 0]);
    service.settled().await;
    let id = create(&service, &json!({ "type": "render" })).await;
    let path = format!("/v1/jobs/{id}");
    let eta = async || service.get(&path).expect(200).await.at("/progress/eta_seconds").clone();
    assert_eq!(eta().await, Value::Null, "it waits");
    service.call("PATCH", &path).json(&json!({ "status": "running" })).expect(200).await;
    let seconds = eta().await.as_u64().expect("seconds");
    assert!((3_000..=3_600).contains(&seconds), "{seconds}");
    // After a report, the job's own pace gives the remaining time.
    let report = json!({ "progress": { "overall_progress": 50 } });
    service.call("PATCH", &path).json(&report).expect(200).await;
    let seconds = eta().await.as_u64().expect("seconds");
    assert!(seconds < 600, "{seconds}");
}
