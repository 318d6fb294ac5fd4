//! Requests in, answers out.

use jobledger_local::{Error, Http, Options, Stack};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::{SAMPLE, functions, start};

async fn problem(response: Response, status: u16, code: &str) {
    assert_eq!(response.status(), StatusCode::from_u16(status).unwrap());
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.headers().contains_key("x-request-id"));
    let text = response.text().await.unwrap();
    assert!(!text.contains("secret"), "{text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&body["status"], &body["code"]), (&json!(status), &json!(code)));
    assert_eq!(body["type"], "about:blank");
    assert!(body["title"].is_string() && body["detail"].is_string());
}

#[tokio::test]
async fn a_request_reaches_its_function_as_an_event() {
    let stack = start().await;
    let url = stack.url().unwrap();
    let put = Client::new().put(format!("{url}/things/a%2Fb?x=1")).json(&json!({"n": 1}));
    let event: Value = put.send().await.unwrap().json().await.unwrap();
    assert_eq!(event["routeKey"], "PUT /things/{id}");
    assert_eq!(event["rawPath"], "/things/a%2Fb");
    assert_eq!(event["pathParameters"], json!({"id": "a%2Fb"}));
    assert_eq!(event["queryStringParameters"], json!({"x": "1"}));
    assert_eq!(event["body"], r#"{"n":1}"#);

    let own = Client::new().get(format!("{url}/lambda-url/front/metrics?x=1"));
    let event: Value = own.send().await.unwrap().json().await.unwrap();
    assert_eq!((&event["routeKey"], &event["rawPath"]), (&json!("$default"), &json!("/metrics")));
    assert_eq!(event.get("pathParameters"), None);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn an_unknown_route_returns_404() {
    let stack = start().await;
    let url = stack.url().unwrap();
    let client = Client::new();
    for (method, path) in [
        (reqwest::Method::GET, "/things/a"),
        (reqwest::Method::PUT, "/things/"),
        (reqwest::Method::PUT, "/things/a/b"),
        (reqwest::Method::GET, "/lambda-url/follow/"),
        (reqwest::Method::GET, "/lambda-url/"),
        (reqwest::Method::GET, "/"),
    ] {
        let response = client.request(method, format!("{url}{path}")).send().await.unwrap();
        problem(response, 404, "not_found").await;
    }
    let head = client.head(format!("{url}/things/a")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::NOT_FOUND);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_body_over_lambdas_limit_is_refused_and_the_refusal_arrives() {
    let stack = start().await;
    let url = format!("{}/things/a", stack.url().unwrap());
    let put = |bytes: usize, r#type: &str| {
        Client::new().put(&url).header("Content-Type", r#type).body("x".repeat(bytes)).send()
    };
    problem(put(7_000_000, "text/plain").await.unwrap(), 413, "too_large").await;
    // The body fits as it is, but the gateway would send it as base64, which does not fit.
    problem(put(5_000_000, "application/octet-stream").await.unwrap(), 413, "too_large").await;
    assert_eq!(put(2_000_000, "text/plain").await.unwrap().status(), StatusCode::OK);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_function_that_fails_takes_nothing_with_it() {
    let stack = start().await;
    let url = stack.url().unwrap();
    let client = Client::new();
    for what in ["fail", "panic", "flood", "sleep"] {
        let response = client.post(format!("{url}/do/{what}")).send().await.unwrap();
        problem(response, 500, "internal").await;
    }
    let fine = client.put(format!("{url}/things/a")).send().await.unwrap();
    assert_eq!(fine.status(), StatusCode::OK);
    stack.stop().await.unwrap();
}

/// AWS does not tell a function that its caller has left; here it can know.
#[tokio::test]
async fn a_function_can_know_that_its_caller_has_left() {
    let stack = start().await;
    let url = stack.url().unwrap();
    let call = tokio::spawn(Client::new().post(format!("{url}/do/stay")).send());
    let until = async |is_so: fn(&functions::Seen) -> bool| {
        let mut found = false;
        while !found {
            functions::seen(stack.dynamodb_endpoint(), |seen| found = is_so(seen));
            tokio::task::yield_now().await;
        }
    };
    until(|seen| seen.staying).await;
    call.abort();
    until(|seen| seen.left).await;
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_named_in_the_error() {
    let stack = start().await;
    let port = stack.url().unwrap().rsplit_once(':').unwrap().1.parse().unwrap();
    let options = Options { template: SAMPLE.to_owned(), http: Http::Port(port), ..Options::default() };
    let error = Stack::start(options, functions::all()).await.unwrap_err();
    assert!(matches!(error, Error::PortTaken { .. }), "{error}");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn template_and_registry_must_agree() {
    let start = |keep: fn(&str) -> bool| async move {
        let options = Options { template: SAMPLE.to_owned(), ..Options::default() };
        let functions = functions::all().into_iter().filter(|function| keep(function.name)).collect();
        Stack::start(options, functions).await.unwrap_err().to_string()
    };
    let problem = start(|name| name != "follow").await;
    assert_eq!(
        problem,
        "the template and the registry disagree: the template names `follow`, which no crate is"
    );
}
