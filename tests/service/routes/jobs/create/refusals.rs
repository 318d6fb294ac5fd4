//! Invalid jobs: refused field by field, and nothing is written.

use jobledger_tests::Service;
use jobledger_tests::jobs::total;
use jobledger_tests::problems::{is_problem, refuses};
use serde_json::{Value, json};

/// Each field with an invalid value.
fn all_wrong() -> Value {
    json!({
        "type": "two words", "payload": "any", "priority": 11, "ttl_hours": 0, "max_attempts": 101,
        "timeout_seconds": "1", "available_at": "tomorrow", "name": "", "external_id": "\u{7}",
        "labels": { "Team": "x" }, "metadata": [], "colour": "red", "job_id": "mine",
    })
}

#[tokio::test]
async fn every_wrong_field_is_in_one_answer() {
    let service = Service::shared().await;
    let reply = service.post("/v1/jobs", &all_wrong()).send().await;
    let fields = [
        "type",
        "priority",
        "ttl_hours",
        "max_attempts",
        "timeout_seconds",
        "available_at",
        "name",
        "external_id",
        "labels",
        "metadata",
        "colour",
        "job_id",
    ];
    refuses(&reply, 400, "invalid_body", &fields);
    let reply = service.post("/v1/jobs", &json!({ "priority": -1, "status": "running" })).send().await;
    refuses(&reply, 400, "invalid_body", &["type", "priority", "status"]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}

#[tokio::test]
async fn a_field_is_named_as_its_caller_named_it() {
    let service = Service::shared().await;
    let reply =
        service.post("/v1/jobs", &json!({ "tool": "two words", "params": 1, "Type": "a" })).send().await;
    refuses(&reply, 400, "invalid_body", &["tool", "Type"]);
}

#[tokio::test]
async fn an_answer_stays_short_whatever_came_in() {
    let service = Service::shared().await;
    let mut body = json!({ "type": "a" });
    for number in 0..5_000 {
        body[format!("{}{number}", "x".repeat(100))] = json!(number);
    }
    let reply = service.post("/v1/jobs", &body).send().await;
    is_problem(&reply, 400, "invalid_body");
    assert!(!reply.wrong_fields().is_empty() && reply.text.len() < 64 * 1024, "{} bytes", reply.text.len());
}

#[tokio::test]
async fn every_field_has_its_bounds() {
    let service = Service::shared().await;
    let check = async |field: &str, value: Value| {
        let mut body = json!({ "type": "a" });
        body[field] = value.clone();
        let reply = service.post("/v1/jobs", &body).send().await;
        refuses(&reply, 400, "invalid_body", &[field]);
    };
    let long = |count| json!("x".repeat(count));
    for bad in
        [json!(""), json!("a b"), json!("a#b"), json!("*"), json!("ä"), json!(1), json!(["a"]), long(65)]
    {
        check("type", bad).await;
    }
    for bad in [json!(-1), json!(11), json!(1.5), json!("1"), json!(true), json!(u64::MAX), json!([])] {
        check("priority", bad).await;
    }
    for bad in [json!(0), json!(169), json!(-24), json!(1.5), json!("24")] {
        check("ttl_hours", bad).await;
    }
    for bad in [json!(0), json!(101), json!("3")] {
        check("max_attempts", bad).await;
    }
    for bad in [json!(0), json!(604_801), json!(0.5)] {
        check("timeout_seconds", bad).await;
    }
    for bad in [json!("2026-01-11"), json!("2026-02-30T00:00:00Z"), json!(1_768_107_600), json!("")] {
        check("available_at", bad).await;
    }
    for bad in [json!(""), json!(" "), json!("a\nb"), json!(7), long(201)] {
        check("name", bad).await;
    }
    for bad in [json!(""), json!("x "), json!("a\u{0}b"), json!(7), long(129)] {
        check("external_id", bad).await;
    }
    let many: Value =
        (0..17).map(|n| (format!("l{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    for bad in
        [json!([]), json!("x"), json!({ "team": 1 }), json!({ "team": null }), json!({ "team": "" }), many]
    {
        check("labels", bad).await;
    }
    for bad in [json!("x"), json!([]), json!(1), json!(false)] {
        check("metadata", bad).await;
    }
}

#[tokio::test]
async fn a_field_that_is_given_twice_is_named() {
    let service = Service::shared().await;
    let body = r#"{"type":"a","priority":1,"priority":1,"type":"a"}"#;
    let reply = service.call("POST", "/v1/jobs").body(body).send().await;
    refuses(&reply, 400, "invalid_body", &["priority", "type"]);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let service = Service::shared().await;
    let bodies: [&[u8]; 15] = [
        b"",
        b" ",
        b"null",
        b"[]",
        b"[{\"type\":\"a\"}]",
        b"\"type\"",
        b"1",
        b"{",
        b"{\"type\":\"a\"",
        b"{\"type\":}",
        b"{\"type\":\"a\"}{}",
        b"{'type':'a'}",
        b"type=a",
        b"<job type=\"a\"/>",
        b"{\"type\":\"a\",\"name\":\"\xff\xfe\"}",
    ];
    for body in bodies {
        let reply = service.call("POST", "/v1/jobs").body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
    // UTF-16, as some editors write.
    let foreign: Vec<u8> = "{\"type\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let reply = service.call("POST", "/v1/jobs").body(foreign).send().await;
    is_problem(&reply, 400, "invalid_json");
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}

#[tokio::test]
async fn a_payload_that_is_no_text_is_refused() {
    let service = Service::shared().await;
    // The first byte of a character without its second, an overlong one, and half of a pair of UTF-16.
    for text in [b"\xc3".as_slice(), b"\xc0\x80".as_slice(), b"\xed\xa0\x80".as_slice()] {
        let body = [b"{\"type\":\"a\",\"payload\":\"".as_slice(), text, b"\"}".as_slice()].concat();
        let reply = service.call("POST", "/v1/jobs").body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
}

#[tokio::test]
async fn deep_nesting_is_taken_while_readers_can_follow() {
    let service = Service::shared().await;
    let nested =
        |depth: usize| format!("{{\"type\":\"a\",\"payload\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let reply = service.call("POST", "/v1/jobs").body(nested(100)).expect(201).await;
    let id = jobledger_tests::text(reply.at("/job_id"));
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert!(job.text.contains(&"[".repeat(100)));
    // Most JSON parsers fail at a thousand levels or fewer, so they could never read such a job.
    for depth in [10_000, 100_000] {
        let reply = service.call("POST", "/v1/jobs").body(nested(depth)).send().await;
        refuses(&reply, 400, "invalid_body", &["payload"]);
    }
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::start().await;
    let reply = service.post("/v1/jobs?wait=1&type=a", &json!({ "type": "a" })).send().await;
    refuses(&reply, 422, "invalid_query", &["type", "wait"]);
    let reply = service.post("/v1/jobs?owner=a%20b", &json!({ "type": "a" })).send().await;
    refuses(&reply, 422, "invalid_query", &["owner"]);
}
