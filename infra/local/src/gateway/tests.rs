//! Events and answers by value.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::event::{Place, write};
use super::{answer, problem};

fn event(request: Request<()>, body: &[u8]) -> Value {
    let (head, ()) = request.into_parts();
    let peer = SocketAddr::from(([127, 0, 0, 1], 50_000));
    let address = SocketAddr::from(([127, 0, 0, 1], 8080));
    let parameters = BTreeMap::from([("job_id", "job%2F1")]);
    let path = head.uri.path().to_owned();
    let place = Place { path: &path, route_key: "POST /v1/jobs/{job_id}", parameters };
    let event = write(&head, body, &place, peer, address, "r-1").unwrap();
    // The functions read it with this type.
    serde_json::from_str::<ApiGatewayV2httpRequest>(event.get()).unwrap();
    serde_json::from_str(event.get()).unwrap()
}

#[test]
fn a_request_is_written_as_payload_2() {
    let request = Request::post("/v1/jobs/job%2F1?status=queued&status=running&q=a%20b+c&flag")
        .header("Host", "localhost:8080")
        .header("User-Agent", "curl/8")
        .header("Accept", "text/plain")
        .header("Accept", "text/html")
        .header("Cookie", "a=1; b=2")
        .header("Content-Type", "application/json; charset=utf-8")
        .body(())
        .unwrap();
    let mut event = event(request, br#"{"a":1}"#);
    let context = event["requestContext"].take();
    assert_eq!(
        event,
        json!({
            "version": "2.0", "routeKey": "POST /v1/jobs/{job_id}", "rawPath": "/v1/jobs/job%2F1",
            "rawQueryString": "status=queued&status=running&q=a%20b+c&flag",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "host": "localhost:8080", "user-agent": "curl/8", "accept": "text/plain,text/html",
                "content-type": "application/json; charset=utf-8",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-port": "8080", "x-forwarded-proto": "http",
            },
            "queryStringParameters": {"status": "queued,running", "q": "a b c", "flag": ""},
            "pathParameters": {"job_id": "job%2F1"},
            "requestContext": null,
            "body": "{\"a\":1}", "isBase64Encoded": false,
        })
    );
    assert_eq!(
        context["http"],
        json!({
            "method": "POST", "path": "/v1/jobs/job%2F1", "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1", "userAgent": "curl/8",
        })
    );
    assert_eq!((&context["requestId"], &context["stage"]), (&json!("r-1"), &json!("$default")));
}

#[test]
fn what_a_proxy_forwards_is_handed_on_as_api_gateway_does() {
    let request = Request::get("/")
        .header("Host", "jobs.example.com")
        .header("X-Forwarded-For", "203.0.113.7")
        .header("X-Forwarded-Host", "jobs.example.com")
        .header("X-Forwarded-Port", "443")
        .header("X-Forwarded-Proto", "https")
        .body(())
        .unwrap();
    let event = event(request, b"");
    assert_eq!(
        event["headers"],
        json!({
            "host": "jobs.example.com", "x-forwarded-for": "203.0.113.7,127.0.0.1",
            "x-forwarded-host": "jobs.example.com", "x-forwarded-port": "8080", "x-forwarded-proto": "http",
        })
    );
}

#[test]
fn bytes_that_are_no_text_are_base64() {
    for (content_type, body, encoded) in [
        ("application/json", &b"{}"[..], false),
        ("Application/JSON; charset=utf-8", b"{}", false),
        ("application/xml", b"<a/>", false),
        ("application/javascript", b"1", false),
        ("text/csv", "é".as_bytes(), false),
        ("application/problem+json", b"{}", true),
        ("application/x-www-form-urlencoded", b"{}", true),
        ("", b"{}", true),
        ("application/json", b"\xff\xfe", true),
        ("application/octet-stream", b"{}", true),
        ("application/x-ndjson", b"{}", true),
    ] {
        let request = Request::post("/").header("Content-Type", content_type).body(()).unwrap();
        let event = event(request, body);
        assert_eq!(event["isBase64Encoded"], json!(encoded), "{content_type}");
        let expected = if encoded {
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body)
        } else {
            String::from_utf8(body.to_vec()).unwrap()
        };
        assert_eq!(event["body"], json!(expected), "{content_type}");
    }
}

#[test]
fn what_a_request_does_not_have_is_left_out() {
    let event = event(Request::get("/").body(()).unwrap(), b"");
    for absent in ["cookies", "queryStringParameters", "body"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
    assert_eq!(event["isBase64Encoded"], json!(false));
}

async fn made(answer: Value) -> (u16, HeaderMap, Vec<u8>) {
    let response = answer::response(&RawValue::from_string(answer.to_string()).unwrap()).unwrap();
    let (head, body) = response.into_parts();
    (head.status.as_u16(), head.headers, to_bytes(body, 1000).await.unwrap().to_vec())
}

#[tokio::test]
async fn an_answer_becomes_a_response() {
    let answer = json!({
        "statusCode": 201, "headers": {"location": "/v1/jobs/1", "x-count": 3}, "multiValueHeaders": {},
        "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": true,
    });
    let (status, headers, body) = made(answer).await;
    assert_eq!((status, body.as_slice()), (201, &b"hi"[..]));
    assert_eq!(headers["location"], "/v1/jobs/1");
    assert_eq!(headers["x-count"], "3");
    assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[tokio::test]
async fn an_answer_without_a_status_is_a_body() {
    let (status, headers, body) = made(json!({"a": 1})).await;
    assert_eq!((status, body.as_slice()), (200, &br#"{"a":1}"#[..]));
    assert_eq!(headers["content-type"], "application/json");
}

#[test]
fn a_broken_answer_is_none() {
    for broken in [
        json!({"statusCode": "x"}),
        json!({"statusCode": 99}),
        json!({"statusCode": 200, "body": "%", "isBase64Encoded": true}),
    ] {
        let text = RawValue::from_string(broken.to_string()).unwrap();
        assert!(answer::response(&text).is_err(), "{broken}");
    }
}

#[tokio::test]
async fn a_problem_says_what_and_never_why_inside() {
    let response = problem::Problem::FunctionFailed.response("r-1");
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-request-id"], "r-1");
    let body: Value =
        serde_json::from_slice(&to_bytes(Body::new(response.into_body()), 1000).await.unwrap()).unwrap();
    assert_eq!(
        (&body["type"], &body["status"], &body["code"]),
        (&json!("about:blank"), &json!(500), &json!("internal"))
    );
}
