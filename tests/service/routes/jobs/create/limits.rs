//! The sizes that a job may have, and that the job returns its data unchanged.

use jobledger_tests::jobs::{create, total};
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Service, text};
use serde_json::json;

/// Most bytes of the JSON of payload and metadata.
const MAX_INPUT: usize = 256 * 1024;
/// Longest body.
const MAX_BODY: usize = 1024 * 1024;

#[tokio::test]
async fn a_payload_keeps_every_digit() {
    let service = Service::shared().await;
    let payload = concat!(
        r#"{"b":123456789012345678901234567890,"a":0.1000000000000000055511151231257827021181583404541015625,"#,
        r#""e":1E+400,"z":-0.0,"again":[1.0,1.00],"t":"\u00e9\/"}"#
    );
    let body = format!(r#"{{"type":"a","payload":{payload},"metadata":{{"n":18446744073709551616}}}}"#);
    let reply = service.call("POST", "/v1/jobs").body(body).expect(201).await;
    let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
    assert!(job.text.contains(&format!(r#""payload":{payload}"#)), "{}", job.text);
    assert!(job.text.contains(r#""metadata":{"n":18446744073709551616}"#), "{}", job.text);
}

#[tokio::test]
async fn any_json_is_a_payload() {
    let service = Service::shared().await;
    for payload in [json!(0), json!(false), json!(""), json!([]), json!({}), json!("text"), json!([null])] {
        let id = create(&service, &json!({ "type": "a", "payload": payload })).await;
        let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(job.at("/payload"), &payload);
    }
}

#[tokio::test]
async fn payload_and_metadata_have_a_limit_together() {
    let service = Service::shared().await;
    // Random data, so that the item is as large as possible. Hexadecimal digits need no escape.
    let noise = |bytes: usize| {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from_digit(u32::try_from(state % 16).expect("a digit"), 16).expect("a digit")
        };
        (0..bytes).map(|_| next()).collect::<String>()
    };
    let room = MAX_INPUT - r#"{"payload":"","metadata":{"m":""}}"#.len();
    for (bytes, status) in [(room, 201), (room + 1, 413)] {
        let body = json!({ "type": "a", "payload": noise(bytes - 1_000), "metadata": { "m": noise(1_000) } });
        let reply = service.post("/v1/jobs", &body).send().await;
        assert_eq!(reply.status, status, "{bytes}: {}", reply.text);
        if status == 413 {
            is_problem(&reply, 413, "too_large");
            assert!(text(reply.at("/detail")).contains("262144"), "{}", reply.text);
        } else {
            let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
            assert_eq!((job.at("/payload"), job.at("/metadata")), (&body["payload"], &body["metadata"]));
        }
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
}

#[tokio::test]
async fn a_body_has_a_limit() {
    let service = Service::shared().await;
    let body = |bytes: usize| {
        let job = r#"{"type":"a"}"#;
        format!("{job}{}", " ".repeat(bytes - job.len()))
    };
    service.call("POST", "/v1/jobs").body(body(MAX_BODY)).expect(201).await;
    let reply = service.call("POST", "/v1/jobs").body(body(MAX_BODY + 1)).send().await;
    is_problem(&reply, 413, "too_large");
    assert!(text(reply.at("/detail")).contains("1048576"), "{}", reply.text);
    // More than Lambda accepts at all.
    let reply = service.call("POST", "/v1/jobs").body(body(7_000_000)).send().await;
    is_problem(&reply, 413, "too_large");
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
}

#[tokio::test]
async fn a_body_is_read_with_any_content_type() {
    let service = Service::shared().await;
    for kind in ["application/json", "application/octet-stream", "text/plain; charset=utf-8", "x"] {
        let call =
            service.post("/v1/jobs", &json!({ "type": "a", "name": "ä" })).header("content-type", kind);
        let id = text(call.expect(201).await.at("/job_id"));
        let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(job.at("/name"), "ä", "{kind}");
    }
}
