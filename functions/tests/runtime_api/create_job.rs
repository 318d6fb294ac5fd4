//! The real binary, over the Lambda Runtime API, as it runs on AWS.

use std::path::Path;

use jobledger::domain::KeyHash;
use jobledger_local::LOCAL_KEY;
use jobledger_tests::Service;
use jobledger_tests::runtime_api::RunningFunction;
use serde_json::{Value, json};

/// The event that API Gateway sends for a request, in payload format 2.0.
fn event(body: &str, key: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": "POST /v1/jobs",
        "rawPath": "/v1/jobs",
        "rawQueryString": "",
        "headers": { "content-type": "application/json", "authorization": format!("Bearer {key}") },
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": "POST",
                "path": "/v1/jobs",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test"
            },
            "requestId": "r1",
            "routeKey": "POST /v1/jobs",
            "stage": "$default",
            "time": "12/Jan/2026:19:03:58 +0000",
            "timeEpoch": 1_768_244_638_000_u64
        },
        "body": body,
        "isBase64Encoded": false
    })
}

#[tokio::test]
async fn the_binary_creates_jobs_one_event_after_the_other() {
    let service = Service::start().await;
    let variables = service.stack.environment("create-job").expect("a function of the template").vars;
    let binary = Path::new(env!("CARGO_BIN_EXE_create-job"));
    let mut function = RunningFunction::start(binary, "create-job", &variables).await;

    let answer = function.invoke(&event(r#"{"type":"scrape"}"#, LOCAL_KEY)).await.expect("an answer");
    assert_eq!(answer["statusCode"], 201, "{answer}");
    assert_eq!(answer["headers"]["x-request-id"], "8476a536-e9f4-11e8-9739-2dfe598c3fcd");
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
    let path = format!("/v1/jobs/{}", body["job_id"].as_str().expect("an id"));
    assert_eq!(service.get(&path).expect(200).await.at("/type"), "scrape");

    let refused = function.invoke(&event("{", LOCAL_KEY)).await.expect("an answer");
    assert_eq!(refused["statusCode"], 400);
    let unknown = function.invoke(&event("{}", "no-such-key")).await.expect("an answer");
    assert_eq!(unknown["statusCode"], 401);

    // An event of another kind is an error of this one call. The process goes on.
    assert!(function.invoke(&json!({ "Records": [] })).await.is_err());
    assert!(function.is_running());
    let again = function.invoke(&event(r#"{"type":"scrape"}"#, LOCAL_KEY)).await.expect("an answer");
    assert_eq!(again["statusCode"], 201);
}

#[tokio::test]
async fn what_was_called_is_written_down_when_the_environment_ends() {
    let service = Service::start().await;
    let variables = service.stack.environment("create-job").expect("a function of the template").vars;
    let binary = Path::new(env!("CARGO_BIN_EXE_create-job"));
    let mut function = RunningFunction::start(binary, "create-job", &variables).await;
    for body in [r#"{"type":"scrape"}"#, r#"{"type":"scrape"}"#, "{"] {
        function.invoke(&event(body, LOCAL_KEY)).await.expect("an answer");
    }
    function.terminate().await;
    let usage = service.get("/v1/usage").expect(200).await;
    assert_eq!(
        usage.at("/by_route"),
        &json!({ "POST /v1/jobs": { "calls": 3, "by_status": { "201": 2, "400": 1 } } })
    );
}

/// At the level with the most output, and with all settings that could make libraries log.
#[tokio::test]
async fn no_level_logs_a_key_or_an_event() {
    let service = Service::start().await;
    let mut variables = service.stack.environment("create-job").expect("a function of the template").vars;
    for name in ["LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"] {
        variables.insert(name.to_owned(), "TRACE".to_owned());
    }
    variables.insert("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned());
    let binary = Path::new(env!("CARGO_BIN_EXE_create-job"));
    let mut function = RunningFunction::start(binary, "create-job", &variables).await;
    for key in [LOCAL_KEY, "jobledger_unknown"] {
        let body = r#"{"type":"scrape","payload":"sesame"}"#;
        function.invoke(&event(body, key)).await.expect("an answer");
    }
    assert!(function.invoke(&json!({ "headers": { "authorization": LOCAL_KEY } })).await.is_err());
    let log = function.terminate().await;
    for secret in [LOCAL_KEY, "jobledger_unknown", "sesame", KeyHash::of(LOCAL_KEY).as_str()] {
        let told = log.lines().find(|line| line.contains(secret));
        assert_eq!(told, None, "{secret}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let requests = lines.iter().filter(|line| line["fields"]["function"] == "create-job");
    let statuses: Vec<_> = requests.map(|line| line["fields"]["status"].clone()).collect();
    assert_eq!(statuses, [201, 401]);
}
