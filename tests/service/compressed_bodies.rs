//! Bodies with `Content-Encoding: gzip`, sent to routes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Call, Service};
use serde_json::json;

/// The contract's limit for the body of a new job, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

fn packed(service: &Service, path: &str, body: impl Into<Vec<u8>>) -> Call {
    let call = service.call("POST", path).header("content-type", "application/json");
    call.header("content-encoding", "gzip").body(body)
}

#[tokio::test]
async fn a_compressed_body_is_read_like_a_plain_one() {
    let service = Service::shared().await;
    let body = json!({ "type": "a", "payload": { "text": "é".repeat(10_000) } });
    let whole = gzip(body.to_string().as_bytes());
    let created = packed(&service, "/v1/jobs", whole.clone()).expect(201).await;
    let path = format!("/v1/jobs/{}", created.at("/job_id").as_str().expect("an id"));
    assert_eq!(service.get(&path).expect(200).await.at("/payload"), &body["payload"]);

    // The same body is the same request, compressed or not.
    let key = |call: Call| call.header("idempotency-key", "one");
    let first = key(packed(&service, "/v1/jobs", whole)).expect(201).await;
    let second = key(service.post("/v1/jobs", &body)).expect(200).await;
    assert_eq!(first.at("/job_id"), second.at("/job_id"));

    // A stream may have several members, whose contents follow each other.
    let members = [gzip(br#"{"type":"#), gzip(br#""b"}"#)].concat();
    packed(&service, "/v1/jobs", members).expect(201).await;

    let lines = [1, 2]
        .map(|id| json!({ "external_id": id.to_string(), "type": "c", "status": "queued" }).to_string());
    let lines = gzip(lines.join("\n").as_bytes());
    let reply = packed(&service, "/v1/admin/ingest/jobs", lines).expect(200).await;
    assert_eq!(reply.at("/created"), 2, "{}", reply.text);

    // A route that ignores its body ignores the body's encoding, too.
    let cancel = service.call("POST", &format!("{path}/cancel")).header("content-encoding", "br").body("x");
    cancel.expect(200).await;
}

#[tokio::test]
async fn a_body_that_inflates_past_the_limit_is_refused() {
    let service = Service::start().await;
    let bomb = gzip(&vec![0; 10_000_000]);
    assert!(bomb.len() < 20_000);
    is_problem(&packed(&service, "/v1/jobs", bomb.clone()).send().await, 413, "too_large");
    let members = bomb.repeat(20);
    is_problem(&packed(&service, "/v1/jobs", members).send().await, 413, "too_large");
    // If the caller may not create jobs, the function inflates nothing.
    let anonymous = service.anonymous("POST", "/v1/jobs").header("content-encoding", "gzip").body(bomb);
    is_problem(&anonymous.send().await, 401, "unauthenticated");

    // The limit of the inflated body is that of a plain body, to the byte.
    let body = |bytes: usize| {
        let head = r#"{"type":"a","payload":{}"#;
        format!("{head}{}}}", " ".repeat(bytes - head.len() - 1))
    };
    packed(&service, "/v1/jobs", gzip(body(MAX_BODY_BYTES).as_bytes())).expect(201).await;
    let reply = packed(&service, "/v1/jobs", gzip(body(MAX_BODY_BYTES + 1).as_bytes())).send().await;
    is_problem(&reply, 413, "too_large");
    is_problem(
        &service.call("POST", "/v1/jobs").body(body(MAX_BODY_BYTES + 1)).send().await,
        413,
        "too_large",
    );
}

#[tokio::test]
async fn an_incomplete_gzip_stream_is_refused() {
    let service = Service::shared().await;
    let whole = gzip(br#"{"type":"a"}"#);
    let mut broken = whole.clone();
    broken[14] ^= 0x55;
    let truncated = whole[..whole.len() - 3].to_vec();
    let followed = [&whole[..], b"{}"].concat();
    let half_followed = [&whole[..], &whole[..15]].concat();
    for body in [broken, truncated, followed, half_followed, b"{\"type\":\"a\"}".to_vec(), Vec::new()] {
        let reply = packed(&service, "/v1/jobs", body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
    // A complete stream, without JSON in it.
    is_problem(&packed(&service, "/v1/jobs", gzip(&whole)).send().await, 400, "invalid_json");
}

#[tokio::test]
async fn other_encodings_are_not_supported() {
    let service = Service::shared().await;
    let encoded = |encoding: &str, body: &[u8]| {
        service.call("POST", "/v1/jobs").header("content-encoding", encoding).body(body)
    };
    let plain = br#"{"type":"a"}"#;
    for encoding in ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "*"] {
        let reply = encoded(encoding, &gzip(plain)).send().await;
        is_problem(&reply, 415, "unsupported_encoding");
        assert_eq!(reply.header("accept-encoding"), Some("gzip"), "it is told what is");
    }
    for encoding in ["identity", "Identity", ""] {
        encoded(encoding, plain).expect(201).await;
    }
    for encoding in ["GZIP", "x-gzip", "identity, gzip"] {
        encoded(encoding, &gzip(plain)).expect(201).await;
    }
}
