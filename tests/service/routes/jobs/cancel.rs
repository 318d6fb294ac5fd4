//! `POST /v1/jobs/{job_id}/cancel`.

use jobledger_tests::jobs::{create, ingest, total};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::json;

const NOBODYS: &str = "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001/cancel";

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_once() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a", "payload": 1, "ttl_hours": 2 })).await;
    let path = format!("/v1/jobs/{id}/cancel");
    let reply = service.call("POST", &path).expect(200).await;
    assert_eq!((reply.at("/job_id"), reply.at("/status")), (&json!(id), &json!("cancelled")));
    for name in ["/completed_at", "/expires_at"] {
        assert!(reply.at(name).is_string(), "{name}: {}", reply.text);
    }
    for name in ["/available_at", "/started_at", "/duration_ms", "/error"] {
        assert!(reply.at(name).is_null(), "{name}: {}", reply.text);
    }
    assert_eq!(service.call("POST", &path).expect(200).await.json, reply.json, "again: nothing moves");
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!((job.at("/status"), job.at("/payload")), (&json!("cancelled"), &json!(1)));
    service.settled().await;
    assert_eq!(total(&service, "status=queued").await, 0);
    assert_eq!(total(&service, "status=cancelled&type=a").await, 1);
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_keeps_its_start() {
    let service = Service::shared().await;
    let jobs = json!([{
        "external_id": "7", "type": "a", "status": "transcoding", "started_at": "2026-01-01T00:00:00Z",
    }]);
    ingest(&service, &jobs).await;
    let list = service.get("/v1/jobs?status=running").expect(200).await;
    assert_eq!(list.at("/jobs/0/phase"), "transcoding");
    let id = text(list.at("/jobs/0/job_id"));
    let reply = service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    assert_eq!(reply.at("/status"), "cancelled");
    assert_eq!(reply.at("/started_at"), "2026-01-01T00:00:00.000Z");
    assert!(reply.at("/duration_ms").is_u64() && reply.at("/phase").is_null(), "{}", reply.text);
}

#[tokio::test]
async fn a_job_that_ended_otherwise_stays_as_it_is() {
    let service = Service::shared().await;
    let jobs = json!([
        { "external_id": "1", "type": "a", "status": "completed", "completed_at": "2026-01-01T00:00:00Z" },
        { "external_id": "2", "type": "a", "status": "failed", "completed_at": "2026-01-01T00:00:00Z", "error": "x" },
    ]);
    assert_eq!(ingest(&service, &jobs).await, [2, 0, 0, 0]);
    for status in ["completed", "failed"] {
        let list = service.get(&format!("/v1/jobs?status={status}")).expect(200).await;
        let id = text(list.at("/jobs/0/job_id"));
        let before = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        let reply = service.call("POST", &format!("/v1/jobs/{id}/cancel")).send().await;
        is_problem(&reply, 409, "wrong_status");
        assert_eq!(reply.at("/job_status"), status);
        assert_eq!(service.get(&format!("/v1/jobs/{id}")).expect(200).await.json, before.json);
    }
}

#[tokio::test]
async fn a_missing_job_and_invalid_values_are_refused() {
    let service = Service::shared().await;
    is_problem(&service.call("POST", NOBODYS).send().await, 404, "job_not_found");
    let reply = service.call("POST", "/v1/jobs/mine/cancel").send().await;
    refuses(&reply, 422, "invalid_query", &["job_id"]);
    let reply = service.call("POST", &format!("{NOBODYS}?reason=x&wait=1")).send().await;
    refuses(&reply, 422, "invalid_query", &["reason", "wait"]);
    let reply = service.call("POST", "/v1/jobs/mine/cancel?reason=x").send().await;
    refuses(&reply, 422, "invalid_query", &["job_id", "reason"]);
}

#[tokio::test]
async fn another_owners_job_is_left_alone() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["write"], None).await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let path = format!("/v1/jobs/{id}/cancel");
    is_problem(
        &service.anonymous("POST", &path).header("x-api-key", "others").send().await,
        404,
        "job_not_found",
    );
    is_problem(&service.call("POST", &format!("{path}?owner=other")).send().await, 404, "job_not_found");
    assert_eq!(service.get(&format!("/v1/jobs/{id}")).expect(200).await.at("/status"), "queued");
    // Also if the job was cancelled before.
    service.call("POST", &path).expect(200).await;
    is_problem(
        &service.anonymous("POST", &path).header("x-api-key", "others").send().await,
        404,
        "job_not_found",
    );
}

#[tokio::test]
async fn an_admin_cancels_for_another_owner() {
    let service = Service::start().await;
    let created = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let path = format!("/v1/jobs/{}/cancel", text(created.at("/job_id")));
    is_problem(&service.call("POST", &path).send().await, 404, "job_not_found");
    let reply = service.call("POST", &format!("{path}?owner=other")).expect(200).await;
    assert_eq!((reply.at("/status"), reply.at("/owner")), (&json!("cancelled"), &json!("other")));
}

#[tokio::test]
async fn many_cancels_at_once_all_return_the_same_end() {
    let service = Service::start().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..16 {
        under_way.spawn(service.call("POST", &format!("/v1/jobs/{id}/cancel")).send());
    }
    let job = service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    for reply in under_way.join_all().await {
        assert_eq!((reply.status, &reply.json), (200, &job.json));
    }
    service.settled().await;
    let samples = jobledger_tests::metrics::Samples::scrape(&service).await;
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", "1");
}
