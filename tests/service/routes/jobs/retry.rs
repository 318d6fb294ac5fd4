//! `POST /v1/jobs/{job_id}/retry`.

use jobledger_tests::claims::{claim_of, create_and_claim};
use jobledger_tests::jobs::{create, ingest, total};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

const NOBODYS: &str = "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001/retry";

async fn whole(service: &Service, id: &str) -> Value {
    service.get(&format!("/v1/jobs/{id}")).expect(200).await.json
}

#[tokio::test]
async fn a_failed_job_gets_one_more_try() {
    let service = Service::shared().await;
    let first = create_and_claim(&service, &json!({ "type": "a", "payload": 1, "priority": 4 })).await;
    let error = json!({ "message": "no", "code": "e" });
    first.tell(&service, &json!({ "status": "failed", "error": error, "result": "part" })).await;
    let failed = whole(&service, &first.id).await;
    let path = format!("/v1/jobs/{}/retry", first.id);
    let reply = service.call("POST", &path).expect(200).await;
    assert_eq!(
        (reply.at("/status"), reply.at("/attempt"), reply.at("/max_attempts")),
        (&json!("queued"), &json!(1), &json!(2))
    );
    for name in ["/error", "/started_at", "/completed_at", "/expires_at", "/duration_ms", "/payload"] {
        assert!(reply.at(name).is_null(), "{name}: {}", reply.text);
    }
    assert_eq!((reply.at("/available_at"), reply.at("/priority")), (reply.at("/updated_at"), &json!(4)));
    let job = whole(&service, &first.id).await;
    let expect = json!([{
        "number": 1, "worker": "w", "started_at": failed["started_at"], "ended_at": failed["completed_at"],
        "outcome": "failed",
        "error": { "message": "no", "failed_task": null, "code": "e" },
    }]);
    assert_eq!((&job["attempts"], &job["payload"]), (&expect, &json!(1)));
    assert!(job["worker_id"].is_null());
    service.settled().await;
    assert_eq!((total(&service, "status=queued").await, total(&service, "status=failed").await), (1, 0));
    let second = claim_of(&service, "a", 10).await.remove(0);
    assert_eq!((second.id.as_str(), &second.job["attempt"]), (first.id.as_str(), &json!(2)));
    second.tell(&service, &json!({ "status": "completed" })).await;
    service.settled().await;
    assert_eq!(whole(&service, &first.id).await["attempts"][0], expect[0]);
}

#[tokio::test]
async fn a_cancelled_job_gets_one_more_try_too() {
    let service = Service::shared().await;
    // Cancelled while it waited: it had no attempt, so it gets none more.
    let waited = create(&service, &json!({ "type": "a", "max_attempts": 3 })).await;
    service.call("POST", &format!("/v1/jobs/{waited}/cancel")).expect(200).await;
    let reply = service.call("POST", &format!("/v1/jobs/{waited}/retry")).expect(200).await;
    assert_eq!((reply.at("/attempt"), reply.at("/max_attempts")), (&json!(0), &json!(3)));
    assert_eq!(whole(&service, &waited).await["attempts"], json!([]));
    claim_of(&service, "a", 1).await;
    // Cancelled while it ran.
    let ran = create_and_claim(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{}/cancel", ran.id)).expect(200).await;
    let reply = service.call("POST", &format!("/v1/jobs/{}/retry", ran.id)).expect(200).await;
    assert_eq!((reply.at("/attempt"), reply.at("/max_attempts")), (&json!(1), &json!(2)));
    let tries = whole(&service, &ran.id).await["attempts"].clone();
    assert_eq!(
        (&tries[0]["number"], &tries[0]["worker"], &tries[0]["outcome"], &tries[0]["error"]),
        (&json!(1), &json!("w"), &json!("cancelled"), &Value::Null)
    );
}

#[tokio::test]
async fn other_jobs_are_refused_and_stay() {
    let service = Service::shared().await;
    let queued = create(&service, &json!({ "type": "a" })).await;
    let running = create_and_claim(&service, &json!({ "type": "b" })).await;
    let completed = create_and_claim(&service, &json!({ "type": "b" })).await;
    completed.tell(&service, &json!({ "status": "completed" })).await;
    for (id, status) in [(&queued, "queued"), (&running.id, "running"), (&completed.id, "completed")] {
        let before = whole(&service, id).await;
        let reply = service.call("POST", &format!("/v1/jobs/{id}/retry")).send().await;
        is_problem(&reply, 409, "wrong_status");
        assert_eq!(reply.at("/job_status"), status);
        assert_eq!(whole(&service, id).await, before);
    }
    is_problem(&service.call("POST", NOBODYS).send().await, 404, "job_not_found");
    refuses(
        &service.call("POST", "/v1/jobs/x/retry?now=1").send().await,
        422,
        "invalid_query",
        &["job_id", "now"],
    );
}

#[tokio::test]
async fn neither_the_services_own_nor_another_owners() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["write"], None).await;
    add_key(&service, "works", "default", &["work", "read"], None).await;
    let id = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let path = format!("/v1/jobs/{id}/retry");
    let with = |key: &str, path: &str| service.anonymous("POST", path).header("x-api-key", key).send();
    is_problem(&with("others", &path).await, 404, "job_not_found");
    is_problem(&with("works", &path).await, 403, "missing_scope");
    is_problem(&service.call("POST", &format!("{path}?owner=other")).send().await, 404, "job_not_found");
    assert_eq!(whole(&service, &id).await["status"], "cancelled");
    let bulk = json!({ "action": "cancel", "filter": { "type": "none" } });
    let own = text(service.post("/v1/jobs/bulk", &bulk).expect(202).await.at("/job_id"));
    service.settled().await;
    is_problem(&service.call("POST", &format!("/v1/jobs/{own}/retry")).send().await, 409, "service_job");
}

#[tokio::test]
async fn of_many_at_once_one_queues_it() {
    let service = Service::shared().await;
    for _ in 0..4 {
        let id = create(&service, &json!({ "type": "a" })).await;
        service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        let mut retries = tokio::task::JoinSet::new();
        for _ in 0..8 {
            retries.spawn(service.call("POST", &format!("/v1/jobs/{id}/retry")).send());
        }
        let replies = retries.join_all().await;
        let done = replies.iter().filter(|reply| reply.status == 200).count();
        assert_eq!(done, 1);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            is_problem(reply, 409, "wrong_status");
            assert_eq!(reply.at("/job_status"), "queued");
        }
        let job = whole(&service, &id).await;
        assert_eq!((&job["status"], &job["max_attempts"]), (&json!("queued"), &json!(1)));
        assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
    }
}

/// Ingest does not change a job that a worker holds. If it queues an ended job again, the job gets another attempt.
#[tokio::test]
async fn ingest_leaves_leases_alone_and_tries_left() {
    let service = Service::shared().await;
    let line = |status: &str, name: &str| {
        let mut line = json!({ "external_id": "e", "type": "a", "status": status, "name": name, "created_at": "2026-01-01T00:00:00Z" });
        if status != "queued" {
            line["started_at"] = json!("2026-01-01T00:00:01Z");
        }
        if status == "failed" {
            line["completed_at"] = json!("2026-01-01T00:00:02Z");
            line["error"] = json!("x");
        }
        line
    };
    let first = create_and_claim(&service, &json!({ "type": "a", "external_id": "e" })).await;
    let before = jobledger_tests::stored::stored_items(&service, &first.id).await;
    for said in ["queued", "running", "failed"] {
        let reply = service.post("/v1/admin/ingest/jobs", &json!([line(said, "n")])).expect(200).await;
        assert_eq!(reply.at("/rejected/0/errors/0/field"), "status", "{}", reply.text);
    }
    // Ingest accepts the call's other lines.
    let mut other = line("queued", "n");
    other["external_id"] = json!("f");
    other["type"] = json!("b");
    assert_eq!(ingest(&service, &json!([line("queued", "n"), other])).await, [1, 0, 0, 1]);
    assert_eq!(jobledger_tests::stored::stored_items(&service, &first.id).await, before);
    first.tell(&service, &json!({ "status": "failed", "error": "no" })).await;
    // All its attempts are used. Queued again, it has one more.
    assert_eq!(ingest(&service, &json!([line("queued", "m")])).await, [0, 1, 0, 0]);
    let job = whole(&service, &first.id).await;
    assert_eq!(
        (&job["status"], &job["attempt"], &job["max_attempts"]),
        (&json!("queued"), &json!(1), &json!(2))
    );
    let second = claim_of(&service, "a", 10).await.remove(0);
    assert_eq!((second.id, &second.job["attempt"]), (first.id, &json!(2)));
}
