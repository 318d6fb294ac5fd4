//! The requests that `POST /v1/jobs/bulk` refuses, field by field.

use jobledger_tests::Service;
use jobledger_tests::jobs::{ingest_many, total};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use serde_json::{Value, json};

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::start().await;
    ingest_many(&service, "default", "a", 2, &["queued"]).await;
    let check = async |body: Value, fields: &[&str]| {
        let reply = service.post("/v1/jobs/bulk", &body).send().await;
        refuses(&reply, 400, "invalid_body", fields);
    };
    let type_a = || json!({ "type": "a" });
    check(json!({}), &["action", "filter"]).await;
    check(json!({ "action": null, "filter": null }), &["action", "filter"]).await;
    check(json!({ "action": "stop", "filter": type_a() }), &["action"]).await;
    check(json!({ "action": 1, "filter": "all" }), &["action", "filter"]).await;
    check(json!({ "action": "cancel", "filter": type_a(), "reason": "x" }), &["reason"]).await;
    // An empty filter would match all jobs.
    check(json!({ "action": "delete", "filter": {} }), &["filter"]).await;
    check(json!({ "action": "delete", "filter": { "type": null } }), &["filter"]).await;
    check(json!({ "action": "delete", "filter": [] }), &["filter"]).await;
    // Names and values as in a list.
    let filter = json!({
        "type": "a b", "status": ["gone"], "created_after": "soon", "priority": 11, "team": "", "owner": "x",
        "limit": 5, "nonsense": 1,
    });
    let fields = ["created_after", "limit", "nonsense", "owner", "priority", "status", "team", "type"];
    let fields = fields.map(|name| format!("filter.{name}"));
    check(json!({ "action": "cancel", "filter": filter }), &fields.each_ref().map(String::as_str)).await;
    let filter = json!({ "created_after": "2026-02-01", "created_before": "2026-01-01" });
    check(json!({ "action": "cancel", "filter": filter }), &["filter.created_before"]).await;
    let filter = json!({ "type": true, "status": { "not": "queued" }, "search": [1], "team": ["a,b"] });
    let fields = ["filter.search", "filter.status", "filter.team", "filter.type"];
    check(json!({ "action": "cancel", "filter": filter }), &fields).await;
    // Statuses that the action cannot change, and types that are not the caller's.
    for (action, status) in [("cancel", "failed"), ("cancel", "completed,cancelled"), ("retry", "running")] {
        check(json!({ "action": action, "filter": { "status": status } }), &["filter.status"]).await;
    }
    for kind in [json!("bulk"), json!(["a", "recount"])] {
        check(json!({ "action": "delete", "filter": { "type": kind } }), &["filter.type"]).await;
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 2, "nothing was begun");
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let service = Service::start().await;
    let bodies = ["", "[]", "cancel", r#"{"action":"cancel","filter":{"type":"a"}"#];
    for body in bodies {
        is_problem(&service.call("POST", "/v1/jobs/bulk").body(body).send().await, 400, "invalid_json");
    }
    let twice = r#"{"action":"cancel","action":"cancel","filter":{"type":"a","type":"b"}}"#;
    let reply = service.call("POST", "/v1/jobs/bulk").body(twice).send().await;
    refuses(&reply, 400, "invalid_body", &["action", "filter.type"]);
    let body = json!({ "action": "cancel", "filter": { "type": "a" } });
    let reply = service.post("/v1/jobs/bulk?dry_run=true", &body).send().await;
    refuses(&reply, 422, "invalid_query", &["dry_run"]);
    let reply = service.post("/v1/jobs/bulk", &body).header("idempotency-key", " ").send().await;
    refuses(&reply, 422, "invalid_header", &["Idempotency-Key"]);
    let large = json!({ "action": "cancel", "filter": { "search": "x".repeat(70_000) } });
    is_problem(&service.post("/v1/jobs/bulk", &large).send().await, 413, "too_large");
    add_key(&service, "reader", "default", &["read", "work"], None).await;
    let reply = service.anonymous("POST", "/v1/jobs/bulk").header("x-api-key", "reader").json(&body);
    is_problem(&reply.send().await, 403, "missing_scope");
    is_problem(&service.anonymous("POST", "/v1/jobs/bulk").json(&body).send().await, 401, "unauthenticated");
}
