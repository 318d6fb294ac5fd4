//! Lines that ingest rejects, and the reasons.

use jobledger_tests::jobs::{total, went_in};
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

use super::completed;

async fn send(service: &Service, jobs: &Value) -> Reply {
    service.post("/v1/admin/ingest/jobs", jobs).expect(200).await
}

/// The fields that a rejected line names, sorted.
fn wrong(reply: &Reply, index: usize) -> Vec<String> {
    let errors = reply.at(&format!("/rejected/{index}/errors")).as_array().cloned().unwrap_or_default();
    let mut fields: Vec<String> =
        errors.iter().map(|error| error["field"].as_str().unwrap_or("?").to_owned()).collect();
    fields.sort();
    fields
}

/// Expects ingest to reject a valid job with these changes, for exactly these fields.
async fn check(service: &Service, changes: Value, mut fields: Vec<&str>) {
    let mut job = completed("1");
    for (name, value) in changes.as_object().expect("an object") {
        job[name] = value.clone();
    }
    let reply = send(service, &json!([job])).await;
    assert_eq!(went_in(&reply), [0, 0, 0, 1], "{changes}");
    fields.sort_unstable();
    assert_eq!(wrong(&reply, 0), fields, "{changes}: {}", reply.text);
    assert_eq!(reply.at("/rejected/0/line"), 1);
}

#[tokio::test]
async fn every_wrong_field_of_a_line_is_named_at_once() {
    let service = Service::shared().await;
    let all = json!({
        "external_id": "", "type": "a b", "status": "gone", "phase": "#", "priority": 11, "name": 1, "labels": [],
        "created_at": "soon", "available_at": 1, "started_at": "2026-02-30T00:00:00Z", "completed_at": "2026-01-01",
        "error": 1, "cost_usd": "-1", "max_attempts": 0, "timeout_seconds": 0, "ttl_hours": 169, "metadata": [],
        "timings": { "a": -1 }, "colour": "red",
    });
    let reply =
        send(&service, &json!([{}, all, { "external_id": "x" }, { "external_id": null, "type": null }]))
            .await;
    assert_eq!(went_in(&reply), [0, 0, 0, 4]);
    assert_eq!(wrong(&reply, 0), ["external_id", "status", "type"]);
    let mut names: Vec<&String> = all.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(wrong(&reply, 1).iter().collect::<Vec<_>>(), names);
    assert_eq!(wrong(&reply, 2), ["status", "type"]);
    assert_eq!(reply.at("/rejected/2/external_id"), "x");
    assert_eq!(wrong(&reply, 3), ["external_id", "status", "type"]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}

#[tokio::test]
async fn contradictions_are_named_with_the_other_errors() {
    let service = Service::shared().await;
    let time = "2026-01-01T00:00:00Z";
    check(&service, json!({ "status": "queued" }), vec!["started_at", "completed_at"]).await;
    check(&service, json!({ "status": "running" }), vec!["completed_at"]).await;
    check(
        &service,
        json!({ "status": "running", "started_at": null, "completed_at": null }),
        vec!["started_at"],
    )
    .await;
    check(&service, json!({ "completed_at": null }), vec!["completed_at"]).await;
    check(&service, json!({ "status": "failed" }), vec!["error"]).await;
    check(&service, json!({ "error": "why" }), vec!["error"]).await;
    check(&service, json!({ "available_at": time }), vec!["available_at"]).await;
    check(&service, json!({ "phase": "encoding" }), vec!["phase"]).await;
    check(&service, json!({ "completed_at": "2025-12-31T23:59:59.999Z" }), vec!["completed_at"]).await;
    check(&service, json!({ "started_at": "2025-12-31T23:59:59.999Z" }), vec!["started_at"]).await;
    check(
        &service,
        json!({ "created_at": "2026-01-01T00:00:02Z", "started_at": null }),
        vec!["completed_at"],
    )
    .await;
    let future = json!({ "created_at": "2100-01-01T00:00:00Z", "started_at": null, "completed_at": "2100-01-02T00:00:00Z" });
    check(&service, future, vec!["created_at", "completed_at"]).await;
    let much = json!({ "status": "failed", "available_at": time, "priority": -1, "colour": 1, "labels": { "team": "" } });
    check(&service, much, vec!["error", "available_at", "priority", "colour", "labels"]).await;
}

#[tokio::test]
async fn an_unreadable_field_is_named_once() {
    let service = Service::shared().await;
    check(&service, json!({ "completed_at": "yesterday" }), vec!["completed_at"]).await;
    check(
        &service,
        json!({ "status": "running", "completed_at": null, "started_at": "x" }),
        vec!["started_at"],
    )
    .await;
    check(&service, json!({ "status": "failed", "error": { "code": 1 } }), vec!["error"]).await;
}

#[tokio::test]
async fn every_field_has_its_bounds() {
    let service = Service::shared().await;
    let long = |count| json!("x".repeat(count));
    for (field, values) in [
        ("type", vec![json!(1), json!("a/b"), long(65)]),
        ("status", vec![json!("COMPLETE D"), json!(1), json!("")]),
        ("priority", vec![json!(1.5), json!("1"), json!(-1)]),
        ("name", vec![json!(1), json!([])]),
        ("labels", vec![json!({ "team": 1 }), json!({ "a-b": "x" }), json!({ "a": "x".repeat(512) })]),
        ("created_at", vec![json!("2026-01-01"), json!(0), json!("2026-01-01T00:00:00")]),
        (
            "cost_usd",
            vec![
                json!(""),
                json!("1e"),
                json!(-1),
                json!("NaN"),
                json!("1,5"),
                json!("100000000.1"),
                json!(true),
            ],
        ),
        ("max_attempts", vec![json!(101), json!(-1)]),
        ("timeout_seconds", vec![json!(604_801)]),
        ("ttl_hours", vec![json!(0), json!("24")]),
        ("metadata", vec![json!("x"), json!(1)]),
        ("timings", vec![json!([]), json!({ "a": "1" }), json!({ "a": null })]),
        ("payload", vec![long(256 * 1024)]),
        ("result", vec![long(256 * 1024)]),
    ] {
        for value in values {
            check(&service, json!({ field: value }), vec![field]).await;
        }
    }
    for bad in [json!(1), json!([]), json!({ "message": 1 }), json!({ "message": "x", "why": "y" })] {
        check(&service, json!({ "status": "failed", "error": bad }), vec!["error"]).await;
    }
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({ "a": inner }));
    for field in ["payload", "metadata", "result"] {
        check(&service, json!({ field: nested(500) }), vec![field]).await;
    }
    check(&service, json!({ "external_id": long(129) }), vec!["external_id"]).await;
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}

#[tokio::test]
async fn a_job_named_twice_in_a_call_is_rejected() {
    let service = Service::shared().await;
    let mut other = completed("1");
    other["priority"] = json!(7);
    let jobs = json!([completed("1"), completed("2"), other, completed("1"), completed("2")]);
    let reply = send(&service, &jobs).await;
    assert_eq!(went_in(&reply), [2, 0, 0, 3]);
    for (index, line, first) in [(0, 3, "line 1"), (1, 4, "line 1"), (2, 5, "line 2")] {
        assert_eq!(reply.at(&format!("/rejected/{index}/line")), line);
        assert_eq!(wrong(&reply, index), ["external_id"]);
        let message = reply.at(&format!("/rejected/{index}/errors/0/message")).as_str().unwrap_or_default();
        assert!(message.contains(first), "{message}");
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 2);
    let page = service.get("/v1/jobs").expect(200).await;
    assert_eq!(
        [page.at("/jobs/0/priority"), page.at("/jobs/1/priority")],
        [0, 0],
        "the first of each went in"
    );
}

#[tokio::test]
async fn two_names_for_one_field_exclude_each_other() {
    let service = Service::shared().await;
    check(&service, json!({ "tool": "a", "payload": 1, "params": 1 }), vec!["tool", "params"]).await;
    let line = completed("1").to_string().replacen('{', "{\"type\":\"a\",\"colour\":1,", 1);
    let reply = service.call("POST", "/v1/admin/ingest/jobs").body(line).expect(200).await;
    assert_eq!(wrong(&reply, 0), ["colour", "type"]);
}
