//! Changes of a job that are refused.

use jobledger_tests::Service;
use jobledger_tests::claims::create_and_claim;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use serde_json::{Value, json};

use super::{patch, whole};

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let before = whole(&service, &held.id).await;
    for (fields, report) in [
        (vec!["progress.overall_progress"], json!({ "progress": { "overall_progress": 400 } })),
        (vec!["progress.overall_progress"], json!({ "progress": { "overall_progress": -1 } })),
        (vec!["progress.overall_progress"], json!({ "progress": { "overall_progress": "40" } })),
        (
            vec!["progress.current_task_progress"],
            json!({ "progress": { "current_task": "a", "current_task_progress": 101 } }),
        ),
        (vec!["progress.current_task_progress"], json!({ "progress": { "current_task_progress": 50 } })),
        (vec!["progress.current_task"], json!({ "progress": { "current_task": 1 } })),
        (vec!["progress.eta_seconds", "progress.x"], json!({ "progress": { "eta_seconds": 1, "x": 1 } })),
        (vec!["progress"], json!({ "progress": 40 })),
        (vec!["lease_seconds"], json!({ "lease_seconds": 9 })),
        (vec!["lease_seconds"], json!({ "lease_seconds": 901 })),
        (vec!["status"], json!({ "status": "gone" })),
        (vec!["status"], json!({ "status": 1 })),
        (vec!["error"], json!({ "status": "failed" })),
        (vec!["error"], json!({ "status": "failed", "error": 1 })),
        (vec!["error"], json!({ "status": "failed", "error": { "message": 1 } })),
        (vec!["error"], json!({ "status": "failed", "error": { "message": "x", "retry_count": 1 } })),
        (vec!["error"], json!({ "status": "failed", "error": { "message": "x", "code": 1 } })),
        (vec!["error"], json!({ "status": "completed", "error": "x" })),
        (vec!["error"], json!({ "error": "x" })),
        (vec!["retryable"], json!({ "retryable": false })),
        (vec!["retryable"], json!({ "status": "completed", "retryable": true })),
        (vec!["retryable"], json!({ "status": "failed", "error": "x", "retryable": "no" })),
        (vec!["phase"], json!({ "status": "completed", "phase": "x" })),
        (vec!["phase"], json!({ "phase": "" })),
        (vec!["artifacts"], json!({ "artifacts": {} })),
        (vec!["artifacts"], json!({ "artifacts": [{ "size_bytes": 1 }] })),
        (vec!["artifacts"], json!({ "artifacts": [{ "name": "a" }, { "name": "a" }] })),
        (vec!["artifacts"], json!({ "artifacts": [{ "name": "a", "url": "x" }] })),
        (vec!["timings"], json!({ "timings": { "a": -1 } })),
        (vec!["timings"], json!({ "timings": [1] })),
        (vec!["cost_usd"], json!({ "cost_usd": "-1" })),
        (vec!["cost_usd"], json!({ "cost_usd": "1e" })),
        (vec!["priority"], json!({ "priority": 11 })),
        (vec!["name"], json!({ "name": "" })),
        (vec!["labels"], json!({ "labels": { "team": 1 } })),
        (vec!["metadata"], json!({ "metadata": [] })),
        (vec!["colour", "external_id", "type"], json!({ "colour": 1, "external_id": "e", "type": "b" })),
        (
            vec!["priority", "progress.overall_progress", "result_code", "timings"],
            json!({ "priority": -1, "progress": { "overall_progress": 400 }, "result_code": 1, "timings": 1 }),
        ),
    ] {
        let reply = held.report(&service, &report).send().await;
        assert_eq!(reply.status, 400, "{report}: {}", reply.text);
        refuses(&reply, 400, "invalid_body", &fields);
    }
    let reply = patch(&service, &held.id, &json!({ "lease_seconds": 60, "name": "x" })).send().await;
    refuses(&reply, 400, "invalid_body", &["lease_seconds"]);
    assert_eq!(whole(&service, &held.id).await, before);
}

#[tokio::test]
async fn a_body_without_a_change_is_refused() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    for body in [json!({}), json!({ "name": null }), json!({ "artifacts": [] }), json!({ "timings": {} })] {
        refuses(&patch(&service, &id, &body).send().await, 400, "invalid_body", &["body"]);
    }
    for body in ["", "[]", "1", "{\"name\":}"] {
        let reply = service.call("PATCH", &format!("/v1/jobs/{id}")).body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
}

#[tokio::test]
async fn the_path_and_the_query_are_checked() {
    let service = Service::shared().await;
    let nobodys = "01981b5e-7c3a-7000-8000-000000000001";
    is_problem(&patch(&service, nobodys, &json!({ "name": "x" })).send().await, 404, "job_not_found");
    is_problem(&patch(&service, nobodys, &json!({ "status": "running" })).send().await, 404, "job_not_found");
    refuses(
        &patch(&service, "mine", &json!({ "name": "x" })).send().await,
        422,
        "invalid_query",
        &["job_id"],
    );
    let reply = patch(&service, &format!("{nobodys}?wait=1"), &json!({ "name": "x" })).send().await;
    refuses(&reply, 422, "invalid_query", &["wait"]);
}

#[tokio::test]
async fn another_owners_job_is_left_alone() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["write", "work"], None).await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let before = whole(&service, &id).await;
    for body in [json!({ "name": "x" }), json!({ "status": "running" }), json!({ "metadata": { "x": 1 } })] {
        let call = service.anonymous("PATCH", &format!("/v1/jobs/{id}")).header("x-api-key", "others");
        is_problem(&call.json(&body).send().await, 404, "job_not_found");
        is_problem(&patch(&service, &format!("{id}?owner=other"), &body).send().await, 404, "job_not_found");
    }
    assert_eq!(whole(&service, &id).await, before);
    // An admin may change the job for its owner.
    let theirs = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let path = format!("{}?owner=other", jobledger_tests::text(theirs.at("/job_id")));
    assert_eq!(patch(&service, &path, &json!({ "name": "x" })).expect(200).await.at("/name"), "x");
}

#[tokio::test]
async fn jobs_of_reserved_types_cannot_be_changed() {
    let service = Service::shared().await;
    let bulk = json!({ "action": "cancel", "filter": { "type": "none" } });
    let reply = service.post("/v1/jobs/bulk", &bulk).expect(202).await;
    let id = jobledger_tests::text(reply.at("/job_id"));
    service.settled().await;
    let before = whole(&service, &id).await;
    for body in [
        json!({ "name": "x" }),
        json!({ "priority": 3 }),
        json!({ "status": "queued" }),
        json!({ "status": "completed", "result": Value::Null }),
        json!({ "metadata": {} }),
    ] {
        is_problem(&patch(&service, &id, &body).send().await, 409, "service_job");
    }
    assert_eq!(whole(&service, &id).await, before);
}
