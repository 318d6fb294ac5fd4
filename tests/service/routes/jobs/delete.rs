//! `DELETE /v1/jobs/{job_id}`.

use jobledger_tests::jobs::{create, ingest, total};
use jobledger_tests::keys::add_key;
use jobledger_tests::metrics::Samples;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Service, text};
use serde_json::json;

const NOBODYS: &str = "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001";

#[tokio::test]
async fn deleting_an_ended_job_deletes_all_its_parts() {
    let service = Service::start().await;
    let jobs = json!([{
        "external_id": "1", "type": "a", "status": "completed", "completed_at": "2026-01-01T00:00:00Z",
        "payload": { "x": 1 }, "result": { "y": 2 },
    }]);
    ingest(&service, &jobs).await;
    let id = text(service.get("/v1/jobs").expect(200).await.at("/jobs/0/job_id"));
    assert_eq!(stored_parts(&service, &id).await.len(), 3);
    let path = format!("/v1/jobs/{id}");
    let reply = service.call("DELETE", &path).expect(200).await;
    assert_eq!(reply.json, json!({ "job_id": id, "deleted": true, "files_deleted": 0 }));
    is_problem(&service.get(&path).send().await, 404, "job_not_found");
    is_problem(&service.call("DELETE", &path).send().await, 404, "job_not_found");
    is_problem(&service.call("POST", &format!("{path}/cancel")).send().await, 404, "job_not_found");
    service.settled().await;
    assert_eq!(stored_parts(&service, &id).await, [""; 0]);
    for query in ["", "type=a", "status=completed", "created_after=2026-01-01&created_before=2026-01-01"] {
        assert_eq!(total(&service, query).await, 0, "{query}");
    }
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs{type=\"a\",status=\"completed\"}", "0");
    samples.check("jobledger_jobs_created_total{type=\"a\"}", "1");
    samples.check("jobledger_jobs_removed_total{type=\"a\"}", "1");
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"completed\"}", "1");
}

#[tokio::test]
async fn a_job_that_has_not_ended_is_cancelled_first() {
    let service = Service::start().await;
    let queued = create(&service, &json!({ "type": "a", "payload": 1 })).await;
    let jobs = json!([{
        "external_id": "r", "type": "a", "status": "running", "started_at": "2026-01-01T00:00:00Z", "payload": 2,
    }]);
    ingest(&service, &jobs).await;
    let running = text(service.get("/v1/jobs?status=running").expect(200).await.at("/jobs/0/job_id"));
    for id in [&queued, &running] {
        let reply = service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(reply.at("/deleted"), true);
        is_problem(&service.get(&format!("/v1/jobs/{id}")).send().await, 404, "job_not_found");
    }
    service.settled().await;
    for id in [&queued, &running] {
        assert_eq!(stored_parts(&service, id).await, [""; 0]);
    }
    assert_eq!(total(&service, "").await, 0);
    let samples = Samples::scrape(&service).await;
    for status in ["queued", "running", "completed", "failed", "cancelled"] {
        samples.check(&format!("jobledger_jobs{{type=\"a\",status=\"{status}\"}}"), "0");
    }
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", "2");
    samples.check("jobledger_jobs_created_total{type=\"a\"}", "2");
    samples.check("jobledger_jobs_removed_total{type=\"a\"}", "2");
}

#[tokio::test]
async fn files_are_kept_or_not_by_two_words() {
    let service = Service::shared().await;
    for word in ["true", "false"] {
        let id = create(&service, &json!({ "type": "a" })).await;
        service.call("DELETE", &format!("/v1/jobs/{id}?delete_files={word}")).expect(200).await;
    }
    let id = create(&service, &json!({ "type": "a" })).await;
    for word in ["", "yes", "1", "True", "true,false"] {
        let reply =
            service.call("DELETE", &format!("/v1/jobs/{id}?delete_files={word}&force=1")).send().await;
        refuses(&reply, 422, "invalid_query", &["delete_files", "force"]);
    }
    let reply = service.call("DELETE", "/v1/jobs/mine?delete_files=maybe").send().await;
    refuses(&reply, 422, "invalid_query", &["delete_files", "job_id"]);
    assert_eq!(service.get(&format!("/v1/jobs/{id}")).expect(200).await.at("/status"), "queued");
}

#[tokio::test]
async fn jobs_of_another_owner_are_left_alone() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["write"], None).await;
    is_problem(&service.call("DELETE", NOBODYS).send().await, 404, "job_not_found");
    let living = create(&service, &json!({ "type": "a" })).await;
    let ended = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{ended}/cancel")).expect(200).await;
    for (id, status) in [(living, "queued"), (ended, "cancelled")] {
        let path = format!("/v1/jobs/{id}");
        let reply = service.anonymous("DELETE", &path).header("x-api-key", "others").send().await;
        is_problem(&reply, 404, "job_not_found");
        is_problem(
            &service.call("DELETE", &format!("{path}?owner=other")).send().await,
            404,
            "job_not_found",
        );
        assert_eq!(service.get(&path).expect(200).await.at("/status"), status);
    }
}

#[tokio::test]
async fn an_admin_deletes_for_another_owner() {
    let service = Service::start().await;
    let created = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let path = format!("/v1/jobs/{}?owner=other", text(created.at("/job_id")));
    service.call("DELETE", &path).expect(200).await;
    service.settled().await;
    assert_eq!(total(&service, "owner=other").await, 0);
}

#[tokio::test]
async fn of_many_at_once_one_deletes() {
    let service = Service::start().await;
    let id = create(&service, &json!({ "type": "a", "payload": 1 })).await;
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..12 {
        under_way.spawn(service.call("DELETE", &format!("/v1/jobs/{id}")).send());
    }
    let replies = under_way.join_all().await;
    let with = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((with(200), with(404)), (1, 11));
    service.settled().await;
    assert_eq!(stored_parts(&service, &id).await, [""; 0]);
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_jobs_ended_total{type=\"a\",status=\"cancelled\"}", "1");
    samples.check("jobledger_jobs_removed_total{type=\"a\"}", "1");
    samples.balance();
}
