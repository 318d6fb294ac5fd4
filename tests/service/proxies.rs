//! The service behind a proxy that terminates TLS: ordinary values of the headers that such proxies write.

use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use serde_json::json;

/// As nginx, Envoy, `HAProxy` and Traefik write them.
const FORWARDED: [(&str, &str); 7] = [
    ("host", "jobs.example.com"),
    ("x-forwarded-for", "203.0.113.7, 10.0.0.2"),
    ("x-forwarded-host", "jobs.example.com"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
    ("forwarded", "for=203.0.113.7;proto=https;host=jobs.example.com"),
    ("via", "1.1 proxy"),
];

#[tokio::test]
async fn every_way_in_works_behind_a_proxy_that_terminates_tls() {
    let service = Service::shared().await;
    for path in [
        "/health",
        "/metrics",
        "/v1/jobs",
        "/v1/jobs/count",
        "/v1/jobs/stats",
        "/v1/jobs/failures",
        "/v1/types/a",
        "/v1/usage",
        "/v1/records/count",
        "/v1/admin/keys",
        "/lambda-url/metrics/metrics",
        "/lambda-url/export-jobs/v1/jobs/export",
    ] {
        let call = FORWARDED.iter().fold(service.get(path), |call, (name, value)| call.header(name, value));
        call.expect(200).await;
    }
    let call = service.post("/v1/jobs", &json!({ "type": "a" }));
    FORWARDED.iter().fold(call, |call, (name, value)| call.header(name, value)).expect(201).await;
}

/// The gateway of the local stack says itself by which protocol a request came. Another one may hand on what a proxy says.
#[tokio::test]
async fn a_function_does_not_need_the_scheme_and_the_host() {
    let service = Service::shared().await;
    let environment = service.stack.environment("health").expect("the function");
    let function = Alone::start("health", environment).await;
    for headers in [&FORWARDED[..], &[]] {
        let request = Request::new("GET", "/health");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        assert_eq!(function.call(&request).await.status, 200, "{headers:?}");
    }
}
