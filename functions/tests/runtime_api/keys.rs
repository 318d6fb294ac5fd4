//! The real binary, over the Lambda Runtime API: what it logs.

use std::path::Path;

use jobledger_local::LOCAL_KEY;
use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::runtime_api::RunningFunction;
use serde_json::Value;

/// Makes a key at a level; the lines that are logged, none of which holds a key.
async fn key_made_at(service: &Service, level: &str) -> Vec<Value> {
    let mut variables = service.stack.environment("keys").expect("a function of the template").vars;
    variables.insert("LOG_LEVEL".to_owned(), level.to_owned());
    variables.insert("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned());
    let binary = Path::new(env!("CARGO_BIN_EXE_keys"));
    let mut function = RunningFunction::start(binary, "keys", &variables).await;
    let request = Request::new("POST", "/v1/admin/keys").body(r#"{"owner":"acme","scopes":["read"]}"#);
    let answer = function.invoke(&request.event()).await.expect("an answer");
    assert_eq!(answer["statusCode"], 201, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
    let key = body["key"].as_str().expect("a key");
    let log = function.terminate().await;
    assert!(!log.contains(key) && !log.contains(LOCAL_KEY), "{log}");
    log.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn the_audit_is_logged_at_every_level() {
    let service = Service::start().await;
    for (level, is_request_logged) in
        [("ERROR", false), ("WARN", false), ("INFO", true), ("DEBUG", true), ("TRACE", true)]
    {
        let lines = key_made_at(&service, level).await;
        let audit: Vec<_> = lines.iter().filter(|line| line["fields"]["audit"] == "key.made").collect();
        assert_eq!(audit.len(), 1, "{level}: {lines:?}");
        let requests = lines.iter().filter(|line| line["fields"]["function"] == "keys").count();
        assert_eq!(requests, usize::from(is_request_logged), "{level}: {lines:?}");
        if !is_request_logged {
            assert_eq!(lines.len(), 1, "{level}: {lines:?}");
        }
    }
}
