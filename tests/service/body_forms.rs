//! Forms in which programs and people write bodies and times, on routes from outside.

use jobledger_tests::claims::create_and_claim;
use jobledger_tests::jobs::create;
use jobledger_tests::log::LogLines;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::json;

const BYTE_ORDER_MARK: &str = "\u{feff}";

#[tokio::test]
async fn a_byte_order_mark_before_a_body_is_ignored_on_every_route() {
    let service = Service::start().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let key = json!({ "owner": "b", "scopes": ["read"] });
    let key_id = text(service.post("/v1/admin/keys", &key).expect(201).await.at("/key_id"));
    for (method, path, body, status) in [
        ("POST", "/v1/jobs".to_owned(), json!({ "type": "a" }), 201),
        ("PATCH", format!("/v1/jobs/{id}"), json!({ "name": "b" }), 200),
        ("POST", "/v1/jobs/batch-status".to_owned(), json!({ "job_ids": [id] }), 200),
        (
            "POST",
            "/v1/jobs/bulk".to_owned(),
            json!({ "action": "cancel", "filter": { "type": "none" } }),
            202,
        ),
        ("POST", "/v1/jobs/claim".to_owned(), json!({ "worker_id": "w", "types": ["none"] }), 200),
        ("PUT", "/v1/types/a".to_owned(), json!({ "max_attempts": 2 }), 200),
        ("PUT", "/v1/records/source/1".to_owned(), json!({ "status": "ready" }), 201),
        ("POST", "/v1/admin/keys".to_owned(), key, 201),
        ("PATCH", format!("/v1/admin/keys/{key_id}"), json!({ "name": "b" }), 200),
        ("POST", "/v1/admin/ingest/jobs".to_owned(), json!([{ "external_id": "1" }]), 200),
        ("POST", "/v1/admin/recount".to_owned(), json!({ "owner": "b" }), 202),
    ] {
        service.call(method, &path).body(format!("{BYTE_ORDER_MARK}{body}")).expect(status).await;
    }
}

#[tokio::test]
async fn whole_numbers_may_be_written_as_floats() {
    let service = Service::shared().await;
    let body = r#"{"type":"a","priority":5.0,"ttl_hours":2.00,"max_attempts":3.0}"#;
    let created = service.call("POST", "/v1/jobs").body(body).expect(201).await;
    let job = service.get(&format!("/v1/jobs/{}", text(created.at("/job_id")))).expect(200).await;
    assert_eq!((job.at("/priority"), job.at("/max_attempts")), (&json!(5), &json!(3)));
    let wrong = r#"{"type":"a","priority":5.5,"ttl_hours":2.01,"max_attempts":101.0}"#;
    let reply = service.call("POST", "/v1/jobs").body(wrong).send().await;
    refuses(&reply, 400, "invalid_body", &["max_attempts", "priority", "ttl_hours"]);
    let line = r#"{"external_id":"f","type":"a","status":"queued","priority":7.0}"#;
    let ingested = service.call("POST", "/v1/admin/ingest/jobs").body(line).expect(200).await;
    assert_eq!(ingested.at("/created"), 1, "{}", ingested.text);
    let list = service.get("/v1/jobs?external_id=f").expect(200).await;
    assert_eq!(list.at("/jobs/0/priority"), 7);
}

#[tokio::test]
async fn a_number_in_place_of_a_time_is_told_the_time_that_was_meant() {
    let service = Service::shared().await;
    let meant = "must be no number: write a time such as 2025-11-30T10:53:20.000Z";
    for name in ["created_after", "created_before", "from_date", "to_date"] {
        for number in ["1764500000", "1764500000000"] {
            let reply = service.get(&format!("/v1/jobs?{name}={number}")).send().await;
            refuses(&reply, 422, "invalid_query", &[name]);
            assert_eq!(reply.at("/errors/0/message"), meant);
        }
    }
    let body = json!({ "type": "a", "available_at": "1764500000" });
    let reply = service.post("/v1/jobs", &body).send().await;
    refuses(&reply, 400, "invalid_body", &["available_at"]);
    assert_eq!(reply.at("/errors/0/message"), meant);
}

#[tokio::test]
async fn the_detail_names_the_first_wrong_field() {
    let service = Service::shared().await;
    for (reply, detail) in [
        (service.get("/v1/jobs?colour=red").send().await, "colour is not known here"),
        (service.post("/v1/jobs", &json!({})).send().await, "type is needed"),
        (
            service.post("/v1/jobs", &json!({ "priority": 11, "x": 1 })).send().await,
            "type is needed; errors has 2 more",
        ),
    ] {
        assert_eq!(reply.at("/detail"), detail);
    }
    let reply = service.post("/v1/jobs", &json!({ "type": "a" })).header("prefer", "wait=99").send().await;
    is_problem(&reply, 422, "invalid_header");
    let (field, message) = (text(reply.at("/errors/0/field")), text(reply.at("/errors/0/message")));
    assert_eq!(reply.at("/detail"), &json!(format!("{field} {message}")));
}

#[tokio::test]
async fn the_log_tells_of_each_attempt_that_failed() {
    let service = Service::start().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let (log, _listening) = LogLines::listen(&service).await;
    let error = json!({ "message": "a secret", "code": "out_of_memory" });
    held.report(&service, &json!({ "status": "failed", "error": error })).expect(200).await;
    let lines = log.lines();
    let lines: Vec<_> = lines.iter().filter(|line| line["message"] == "an attempt failed").collect();
    let expected = json!({
        "message": "an attempt failed", "job_id": held.id, "owner": "default", "type": "a", "attempt": 1,
        "code": "out_of_memory", "status": "failed",
    });
    assert_eq!(lines, [&expected]);
    assert!(!log.all().contains("a secret"));
}
