//! Answers that leave packed: `Accept-Encoding`.

use std::io::Read;

use flate2::read::GzDecoder;
use jobledger_tests::jobs::create;
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Call, Service};
use serde_json::{Value, json};

/// The coding of an answer, and its body as its sender had it.
async fn unpacked(call: Call) -> (Option<String>, Vec<u8>) {
    let response = call.open().await;
    assert_eq!(response.status(), 200);
    let header =
        |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
    assert!(
        header("vary").is_some_and(|names| names.contains("accept-encoding")),
        "{:?}",
        response.headers()
    );
    let coding = header("content-encoding");
    let body = response.bytes().await.expect("a body");
    let whole = match coding.as_deref() {
        None => body.to_vec(),
        Some("gzip") => {
            let mut whole = Vec::new();
            GzDecoder::new(&body[..]).read_to_end(&mut whole).expect("gzip");
            whole
        }
        Some("zstd") => zstd::stream::decode_all(&body[..]).expect("zstd"),
        Some(other) => panic!("packed by {other}"),
    };
    (coding, whole)
}

async fn with_jobs() -> Service {
    let service = Service::shared().await;
    for number in 0..10 {
        create(&service, &json!({ "type": "a", "name": format!("job {number}"), "priority": 1 })).await;
    }
    service.settled().await;
    service
}

#[tokio::test]
async fn answers_are_packed_as_the_caller_asks() {
    let service = with_jobs().await;
    let owner = format!("?owner={}", service.owner);
    let get = |path: &str| service.get(path);
    let (plain, whole) = unpacked(get(&format!("/v1/jobs{owner}"))).await;
    assert_eq!(plain, None);
    for (accept, coding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br", Some("gzip")),
        ("zstd", Some("zstd")),
        ("gzip;q=0.5, zstd", Some("zstd")),
        ("br", None),
        ("gzip;q=0", None),
        ("identity", None),
    ] {
        let call = get(&format!("/v1/jobs{owner}")).header("accept-encoding", accept);
        let (said, body) = unpacked(call).await;
        assert_eq!(said.as_deref(), coding, "{accept}");
        let [body, whole] = [&body, &whole].map(|text| serde_json::from_slice::<Value>(text).expect("JSON"));
        assert_eq!(body["jobs"], whole["jobs"], "{accept}");
    }
}

#[tokio::test]
async fn short_answers_and_problems_are_sent_as_they_are() {
    let service = Service::shared().await;
    let health = service.anonymous("GET", "/health").header("accept-encoding", "gzip").expect(200).await;
    assert_eq!((health.header("content-encoding"), health.at("/status")), (None, &json!("healthy")));
    let problem = service.get("/v1/jobs?limit=0").header("accept-encoding", "zstd").send().await;
    is_problem(&problem, 422, "invalid_query");
    assert_eq!(problem.header("content-encoding"), None);
}

#[tokio::test]
async fn exports_are_packed_while_they_stream() {
    let service = with_jobs().await;
    let path = "/lambda-url/export-jobs/v1/jobs/export?sort_order=asc";
    for format in ["csv", "json", "ndjson"] {
        let path = format!("{path}&format={format}");
        let plain = service.get(&path).expect(200).await.text;
        for coding in ["gzip", "zstd"] {
            let (said, body) = unpacked(service.get(&path).header("accept-encoding", coding)).await;
            assert_eq!(said.as_deref(), Some(coding));
            assert_eq!(String::from_utf8(body).expect("text"), plain, "{format} by {coding}");
        }
    }
}
