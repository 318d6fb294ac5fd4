//! An outside engine, which runs jobs itself and only reports: it has no claim and no lease.

use jobledger_tests::Service;
use jobledger_tests::claims::{claim_of, create_and_claim, ids_of, set_type};
use jobledger_tests::jobs::create;
use jobledger_tests::problems::is_problem;
use jobledger_tests::stored::{stored_items, stored_parts};
use serde_json::{Value, json};

use super::{is_at, patch, time, whole};

async fn to(service: &Service, id: &str, report: Value) -> jobledger_tests::Reply {
    patch(service, id, &report).expect(200).await
}

#[tokio::test]
async fn another_system_starts_reports_and_ends_its_jobs() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let started = to(&service, &id, json!({ "status": "transcoding" })).await;
    assert_eq!((started.at("/attempt"), started.at("/phase")), (&json!(1), &json!("transcoding")));
    is_at(&started, "running");
    assert!(started.at("/available_at").is_null() && started.at("/lease_expires_at").is_null());
    assert!(claim_of(&service, "a", 10).await.is_empty(), "it is nobody else's");
    let reply =
        to(&service, &id, json!({ "progress": { "overall_progress": 40 }, "phase": "uploading" })).await;
    assert_eq!(
        (reply.at("/progress/overall_progress"), reply.at("/phase")),
        (&json!(40), &json!("uploading"))
    );
    let reply = to(&service, &id, json!({ "progress": { "overall_progress": 30 } })).await;
    assert_eq!(reply.at("/progress/overall_progress"), 40);
    // An earlier phase may be reported again.
    for phase in ["transcoding", "uploading", "transcoding"] {
        assert_eq!(to(&service, &id, json!({ "status": phase })).await.at("/phase"), phase);
    }
    let end = json!({ "status": "completed", "result": 1, "timings": { "x": 2 } });
    for _ in 0..2 {
        is_at(&to(&service, &id, end.clone()).await, "completed");
    }
    let job = whole(&service, &id).await;
    assert_eq!((&job["result"], &job["attempts"][0]["worker"]), (&json!(1), &Value::Null));
    assert_eq!(time(&job["started_at"]), time(started.at("/started_at")));
    assert_eq!(stored_parts(&service, &id).await.len(), 2);
    is_problem(
        &patch(&service, &id, &json!({ "status": "completed", "result": 2 })).send().await,
        409,
        "wrong_status",
    );
}

#[tokio::test]
async fn another_system_may_fail_cancel_and_queue_its_jobs() {
    let service = Service::shared().await;
    set_type(&service, "a", &json!({ "backoff_seconds": 0 })).await;
    let id = create(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    let fails = json!({ "status": "failed", "error": { "message": "no" } });
    for (attempt, ends) in [(1, "queued"), (2, "failed")] {
        assert_eq!(to(&service, &id, json!({ "status": "running" })).await.at("/attempt"), attempt);
        // The same report as for the attempt before.
        for _ in 0..2 {
            is_at(&to(&service, &id, fails.clone()).await, ends);
        }
    }
    let job = whole(&service, &id).await;
    assert_eq!((&job["error"]["message"], &job["error"]["retry_count"]), (&json!("no"), &json!(1)));
    // The engine queues the job again, as a retry does; then starts, cancels, queues and starts it.
    let reply = to(&service, &id, json!({ "status": "queued" })).await;
    assert_eq!((reply.at("/status"), reply.at("/max_attempts")), (&json!("queued"), &json!(3)));
    for attempt in 3..6 {
        let reply = to(&service, &id, json!({ "status": "running" })).await;
        assert_eq!((reply.at("/status"), reply.at("/attempt")), (&json!("running"), &json!(attempt)));
        for _ in 0..2 {
            is_at(&to(&service, &id, json!({ "status": "canceled" })).await, "cancelled");
        }
        is_at(&to(&service, &id, json!({ "status": "queued" })).await, "queued");
    }
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [id]);
}

/// If the service changed the job meanwhile, the same report is not a repetition.
#[tokio::test]
async fn a_repeated_report_applies_again_if_the_job_has_changed() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let post = |what: &str| service.call("POST", &format!("/v1/jobs/{id}/{what}")).expect(200);
    for attempt in 1..4 {
        let reply = to(&service, &id, json!({ "status": "running" })).await;
        assert_eq!((reply.at("/status"), reply.at("/attempt")), (&json!("running"), &json!(attempt)));
        post("cancel").await;
        post("retry").await;
    }
    post("cancel").await;
    is_at(&to(&service, &id, json!({ "status": "queued" })).await, "queued");
    post("cancel").await;
    is_at(&to(&service, &id, json!({ "status": "queued" })).await, "queued");
}

#[tokio::test]
async fn a_report_without_a_token_is_refused_while_a_worker_holds_the_job() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    let before = stored_items(&service, &held.id).await;
    for report in [
        json!({ "status": "running" }),
        json!({ "status": "completed", "result": 1 }),
        json!({ "status": "failed", "error": "x" }),
        json!({ "status": "queued" }),
        json!({ "status": "cancelled" }),
        json!({ "progress": { "overall_progress": 99 } }),
        json!({ "phase": "x" }),
        json!({ "artifacts": [{ "name": "x" }] }),
        json!({ "timings": { "x": 1 } }),
        json!({ "cost_usd": 1 }),
        json!({ "result": null, "cost_usd": 1, "priority": 3 }),
    ] {
        let reply = patch(&service, &held.id, &report).send().await;
        is_problem(&reply, 409, "leased");
        assert_eq!(reply.at("/job_status"), "running");
    }
    assert_eq!(stored_items(&service, &held.id).await, before);
    held.tell(&service, &json!({ "status": "completed" })).await;
}

#[tokio::test]
async fn only_steps_of_the_status_table_are_accepted() {
    let service = Service::shared().await;
    let with_error = |status: &str| match status {
        "failed" => json!({ "status": status, "error": "x" }),
        _ => json!({ "status": status }),
    };
    // The reports that lead to a status, and those that are refused in it.
    for (way, at, refused) in [
        (vec![], "queued", vec!["completed", "failed"]),
        (vec!["running", "completed"], "completed", vec!["queued", "running", "failed", "cancelled"]),
        (vec!["running", "failed"], "failed", vec!["running", "completed", "cancelled"]),
        (vec!["cancelled"], "cancelled", vec!["running", "completed", "failed"]),
    ] {
        let id = create(&service, &json!({ "type": "a" })).await;
        for status in way {
            to(&service, &id, with_error(status)).await;
        }
        let before = whole(&service, &id).await;
        assert_eq!(before["status"], at);
        for status in refused {
            let reply = patch(&service, &id, &with_error(status)).send().await;
            is_problem(&reply, 409, "wrong_status");
            assert_eq!(reply.at("/job_status"), at, "{status}");
        }
        for report in [
            json!({ "progress": { "overall_progress": 1 } }),
            json!({ "phase": "x" }),
            json!({ "result": 1 }),
        ] {
            let reply = patch(&service, &id, &report).send().await;
            is_problem(&reply, 409, "wrong_status");
        }
        assert_eq!(whole(&service, &id).await, before);
        assert_eq!(stored_parts(&service, &id).await, ["head"]);
    }
}
