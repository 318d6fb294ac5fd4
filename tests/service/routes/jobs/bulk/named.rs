//! Jobs that the caller names, and dry runs.

use jobledger_tests::Service;
use jobledger_tests::claims::create_and_claim;
use jobledger_tests::jobs::{create, ingest_many, total};
use jobledger_tests::problems::refuses;
use jobledger_tests::text;
use serde_json::{Value, json};

/// The number that a dry run tells.
async fn dry_run(service: &Service, mut body: Value) -> Value {
    body["dry_run"] = json!(true);
    let reply = service.post("/v1/jobs/bulk", &body).expect(200).await;
    assert_eq!((reply.at("/action"), reply.at("/dry_run")), (&body["action"], &json!(true)));
    assert_eq!(reply.at("/total_kind"), "exact");
    reply.at("/matched").clone()
}

/// Asks for it, waits until it is done, and answers with the whole job.
async fn done(service: &Service, body: &Value) -> Value {
    let reply = service.post("/v1/jobs/bulk", body).expect(202).await;
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
    assert_eq!(job.at("/status"), "completed", "{}", job.text);
    job.json
}

#[tokio::test]
async fn only_the_jobs_that_are_named_are_changed() {
    let service = Service::start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create(&service, &json!({ "type": "a" })).await);
    }
    let running = create_and_claim(&service, &json!({ "type": "b" })).await;
    let ended = create_and_claim(&service, &json!({ "type": "c" })).await;
    ended.tell(&service, &json!({ "status": "completed" })).await;
    let foreign = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let foreign = text(foreign.at("/job_id"));
    let nobody = "01981b5e-7c3a-7000-8000-000000000001";
    let named = json!([ids[0], ids[1], ids[0], running.id, ended.id, foreign, nobody]);
    let body = json!({ "action": "cancel", "job_ids": named });
    assert_eq!(dry_run(&service, body.clone()).await, 3);
    assert_eq!(total(&service, "status=cancelled").await, 0, "nothing was changed");
    let job = done(&service, &body).await;
    // Each id counts once. The ended job, the other owner's and the unknown one are skipped.
    let numbers = json!({ "action": "cancel", "matched": 6, "changed": 3, "skipped": 3, "failed": 0 });
    assert_eq!(job["result"], numbers);
    assert_eq!(job["progress"]["overall_progress"], 100);
    assert_eq!(job["payload"]["job_ids"].as_array().map(Vec::len), Some(6));
    assert_eq!(total(&service, "status=cancelled").await, 3);
    assert_eq!(total(&service, "status=queued").await, 1);
    assert_eq!(total(&service, "status=queued&owner=other").await, 1);
    // The job of the service itself is no caller's.
    let own = json!({ "action": "delete", "job_ids": [job["job_id"]] });
    assert_eq!(dry_run(&service, own.clone()).await, 0);
    assert_eq!(done(&service, &own).await["result"]["skipped"], 1);
}

#[tokio::test]
async fn as_many_jobs_can_be_named_as_are_allowed() {
    let service = Service::shared().await;
    ingest_many(&service, &service.owner, "a", 250, &["failed", "cancelled"]).await;
    // Offsets are found by the counts.
    service.settled().await;
    let mut ids = Vec::new();
    for offset in [0, 100, 200] {
        let list = service.get(&format!("/v1/jobs?type=a&limit=100&offset={offset}")).expect(200).await;
        ids.extend(list.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])));
    }
    let unknown = (0..750).map(|number| format!("01981b5e-7c3a-7000-8000-{number:012}"));
    let named: Vec<String> = ids.iter().cloned().chain(unknown).collect();
    let body = json!({ "action": "retry", "job_ids": named });
    assert_eq!(dry_run(&service, body.clone()).await, 250);
    let result = done(&service, &body).await["result"].clone();
    let numbers = json!({ "action": "retry", "matched": 1000, "changed": 250, "skipped": 750, "failed": 0 });
    assert_eq!(result, numbers);
    assert_eq!(total(&service, "type=a&status=queued").await, 250);
}

#[tokio::test]
async fn a_dry_run_tells_the_number_and_changes_nothing() {
    let service = Service::shared().await;
    ingest_many(
        &service,
        &service.owner,
        "a",
        10,
        &["queued", "running", "completed", "failed", "cancelled"],
    )
    .await;
    for priority in [3, 3, 4] {
        create(&service, &json!({ "type": "b", "priority": priority })).await;
    }
    service.settled().await;
    for (action, filter, expect) in [
        ("cancel", json!({ "type": "a" }), 4),
        ("retry", json!({ "type": ["a", "b"], "status": "failed" }), 2),
        ("delete", json!({ "created_after": "2026-01-01" }), 13),
        ("cancel", json!({ "priority": 3 }), 2),
        ("retry", json!({ "priority": 3 }), 0),
        ("delete", json!({ "created_after": "2126-01-01" }), 0),
    ] {
        let body = json!({ "action": action, "filter": filter });
        assert_eq!(dry_run(&service, body.clone()).await, expect, "{body}");
    }
    assert_eq!(total(&service, "type=bulk").await, 0);
    assert_eq!(total(&service, "").await, 13);
    // Jobs of the service are not among them.
    done(&service, &json!({ "action": "cancel", "filter": { "priority": 4 } })).await;
    assert_eq!(dry_run(&service, json!({ "action": "delete", "filter": { "priority": 0 } })).await, 10);
    assert_eq!(
        dry_run(&service, json!({ "action": "delete", "filter": { "status": "completed" } })).await,
        2
    );
}

#[tokio::test]
async fn wrong_names_of_jobs_are_refused() {
    let service = Service::shared().await;
    let id = "01981b5e-7c3a-7000-8000-000000000001";
    let check = async |body: Value, fields: &[&str]| {
        let reply = service.post("/v1/jobs/bulk", &body).send().await;
        refuses(&reply, 400, "invalid_body", fields);
    };
    let many = vec![id; 1_001];
    check(json!({ "action": "cancel", "job_ids": [] }), &["job_ids"]).await;
    check(json!({ "action": "cancel", "job_ids": many }), &["job_ids"]).await;
    check(json!({ "action": "cancel", "job_ids": id }), &["job_ids"]).await;
    check(json!({ "action": "cancel", "job_ids": [id, 1, "x"] }), &["job_ids[1]", "job_ids[2]"]).await;
    check(json!({ "action": "cancel", "job_ids": [id], "filter": { "type": "a" } }), &["filter", "job_ids"])
        .await;
    check(json!({ "action": "stop", "job_ids": [id], "dry_run": "yes" }), &["action", "dry_run"]).await;
    assert_eq!(total(&service, "").await, 0);
}
