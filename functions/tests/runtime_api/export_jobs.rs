//! The real binary, over the Lambda Runtime API, as it runs on AWS behind a Function URL that streams.

use std::path::Path;

use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::runtime_api::{End, RunningFunction, StreamedReply};
use serde_json::{Value, json};

fn export(query: &str) -> Value {
    Request::new("GET", &format!("/v1/jobs/export?{query}")).event()
}

fn lines(reply: &StreamedReply) -> usize {
    String::from_utf8_lossy(&reply.chunks.concat()).matches('\n').count()
}

#[tokio::test]
async fn the_binary_streams_a_head_and_then_the_file() {
    let service = Service::start().await;
    let jobs: Vec<Value> = (0..1_200)
        .map(|n| json!({ "external_id": format!("e-{n}"), "type": "scrape", "status": "queued" }))
        .collect();
    service.post("/v1/admin/ingest/jobs", &json!(jobs)).expect(200).await;
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let mut variables = service.stack.environment("export-jobs").expect("a function of the template").vars;
    variables.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url().to_owned());
    let binary = Path::new(env!("CARGO_BIN_EXE_export-jobs"));
    let mut function = RunningFunction::start(binary, "export-jobs", &variables).await;

    let reply = function.stream(&export("format=ndjson")).await.expect("an answer");
    assert_eq!(reply.head["statusCode"], 200, "{}", reply.head);
    assert_eq!(reply.head["headers"]["content-type"], "application/x-ndjson");
    assert_eq!(reply.head["headers"]["x-request-id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    assert_eq!((lines(&reply), reply.end), (1_200, End::Whole));
    assert!(reply.chunks.len() >= 3, "{}", reply.chunks.len());

    // A problem is an answer like any other.
    let refused = function.stream(&export("limit=1")).await.expect("an answer");
    assert_eq!((&refused.head["statusCode"], refused.end), (&json!(422), End::Whole));
    let problem: Value = serde_json::from_slice(&refused.chunks.concat()).expect("JSON");
    assert_eq!(problem["errors"][0]["field"], "limit");

    // A failure in the middle breaks the connection off. The process goes on.
    let mut queries = 0;
    proxy.plan(move |seen| {
        queries += usize::from(seen.operation == "Query");
        if queries == 2 { Fault::refused() } else { Fault::None }
    });
    let cut = function.stream(&export("format=ndjson")).await.expect("an answer");
    assert_eq!((&cut.head["statusCode"], cut.end), (&json!(200), End::BrokenOff));
    assert!(lines(&cut) < 1_200);
    proxy.heal();
    assert!(function.stream(&json!({ "Records": [] })).await.is_err());
    assert!(function.is_running());
    let again = function.stream(&export("format=ndjson")).await.expect("an answer");
    assert_eq!((lines(&again), again.end), (1_200, End::Whole));
}
