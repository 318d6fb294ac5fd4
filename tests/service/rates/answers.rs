//! The headers about a key's rate, and the answers to calls that come too often.

use std::collections::BTreeMap;

use jobledger::Environment;
use jobledger_local::TEMPLATE;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::clock;
use jobledger_tests::faults::Proxy;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::id_and_key;
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Call, Reply, Service};
use serde_json::{Value, json};

use super::at;

/// A list of structured fields (RFC 9651), as far as these headers need it: strings, each with whole numbers by name.
#[track_caller]
fn list(text: &str) -> BTreeMap<String, BTreeMap<String, u64>> {
    text.split(',').map(|item| item_of(item.trim_matches(' '))).collect()
}

#[track_caller]
fn item_of(text: &str) -> (String, BTreeMap<String, u64>) {
    let mut parts = text.split(';');
    let name = parts.next().and_then(|name| name.strip_prefix('"')?.strip_suffix('"')).expect("a string");
    let parameters = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or_else(|| panic!("{part} has no value"));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{value} is no whole number")))
    });
    (name.to_owned(), parameters.collect())
}

/// The calls left, and the seconds until there is one more. `RateLimit-Policy` must name the key's limit.
#[track_caller]
fn limit_status(reply: &Reply, per_minute: u64, burst: u64) -> (u64, Option<u64>) {
    let header = |name: &str| list(reply.header(name).unwrap_or_else(|| panic!("no {name}: {}", reply.text)));
    let numbers = |numbers: &[(&str, u64)]| -> BTreeMap<String, u64> {
        numbers.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    };
    let expected = [
        ("minute".to_owned(), numbers(&[("q", per_minute), ("w", 60)])),
        ("burst".to_owned(), numbers(&[("q", burst)])),
    ];
    assert_eq!(header("ratelimit-policy"), BTreeMap::from(expected));
    let mut limits = header("ratelimit");
    let mut limit = limits.remove("burst").expect("a limit of the policy");
    let said = (limit.remove("r").expect("r"), limit.remove("t"));
    assert!(limits.is_empty() && limit.is_empty(), "{limits:?} {limit:?}");
    said
}

#[track_caller]
fn says_nothing(reply: &Reply) {
    assert_eq!((reply.header("ratelimit"), reply.header("ratelimit-policy")), (None, None), "{}", reply.text);
}

#[tokio::test]
async fn every_answer_to_a_limited_key_has_rate_limit_headers() {
    let service = Service::start().await;
    let body = json!({
        "owner": "default", "scopes": ["read", "write"], "requests_per_minute": 60, "burst": 50,
    });
    let (_, key) = id_and_key(&service, &body).await;
    let call = |method: &str, path: &str| service.anonymous(method, path).header("x-api-key", &key);
    let id = create(&service, &json!({ "type": "render" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let job = json!({ "type": "render", "external_id": "1" });
    let calls: Vec<(Call, u16)> = vec![
        (call("GET", "/v1/jobs"), 200),
        (call("POST", "/v1/jobs").json(&job), 201),
        (call("POST", "/v1/jobs").json(&json!({ "type": "another", "external_id": "1" })), 409),
        (call("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001"), 404),
        (call("GET", "/v1/jobs?nothing=1"), 422),
        (call("POST", "/v1/jobs").body("{"), 400),
        (call("POST", "/v1/jobs/claim").json(&json!({})), 403),
        (call("GET", "/v1/jobs?owner=other"), 403),
        (call("GET", "/v1/admin/keys"), 403),
        (call("GET", "/lambda-url/export-jobs/v1/jobs/export?format=csv"), 200),
        (call("GET", "/lambda-url/export-jobs/v1/jobs/export?format=x"), 422),
        (call("GET", "/v1/usage"), 200),
        (service.staying("GET", "/v1/jobs/export").header("x-api-key", &key), 307),
    ];
    let (mut before, count) = (50, calls.len());
    for (call, status) in calls {
        let (left, next) = limit_status(&call.expect(status).await, 60, 50);
        // A second gives one call back.
        assert!(left < 50 && left + 2 >= before, "{left} after {before}");
        assert_eq!(next, Some(1));
        before = left;
    }
    assert!(before + 2 >= 50 - u64::try_from(count).expect("a count") && before <= 49, "{before}");
    // Without a limit or a valid key, an answer has no such headers.
    let body = json!({ "owner": "default", "scopes": ["read"], "requests_per_minute": null });
    let (_, free) = id_and_key(&service, &body).await;
    for reply in [
        service.anonymous("GET", "/v1/jobs").header("x-api-key", &free).expect(200).await,
        service.get("/v1/jobs").expect(200).await,
        service.anonymous("GET", "/health").header("x-api-key", &key).expect(200).await,
        service.anonymous("GET", "/metrics").header("x-api-key", &key).expect(200).await,
        service.anonymous("GET", "/v1/jobs").expect(401).await,
        service.anonymous("GET", "/v1/jobs").header("x-api-key", "unknown").expect(401).await,
        call("GET", "/nowhere").expect(404).await,
    ] {
        says_nothing(&reply);
    }
}

/// A function with this thread's clock, behind a proxy.
async fn behind(service: &Service, name: &str) -> (Alone, Proxy) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let environment = Environment { clock: clock::now, ..service.environment_at(name, proxy.url()) };
    (Alone::start(name, environment).await, proxy)
}

#[tokio::test]
async fn a_call_over_the_rate_returns_429_with_retry_after_and_changes_nothing() {
    let service = Service::start().await;
    let body = json!({ "owner": "default", "scopes": ["write"], "requests_per_minute": 5, "burst": 2 });
    let (_, key) = id_and_key(&service, &body).await;
    clock::set(at(0));
    let (function, proxy) = behind(&service, "create-job").await;
    let request = Request::new("POST", "/v1/jobs")
        .header("authorization", &format!("Bearer {key}"))
        .body(r#"{"type":"render"}"#);
    for left in [1, 0] {
        let reply = function.call(&request).await;
        assert_eq!((reply.status, limit_status(&reply, 5, 2)), (201, (left, Some(12))));
    }
    clock::set(at(500));
    proxy.heal();
    // Each refused caller gets a later time than the one before: there is one call every twelve seconds.
    for again in [12, 24, 36, 48, 60] {
        let refused = function.call(&request).await;
        is_problem(&refused, 429, "rate_limited");
        assert_eq!(limit_status(&refused, 5, 2), (0, Some(12)));
        assert_eq!(refused.header("retry-after"), Some(again.to_string().as_str()));
    }
    // The queue of times has an end. Callers after it get any time in it.
    for _ in 0..20 {
        let refused = function.call(&request).await;
        let again: u64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("seconds");
        assert!((12..=72).contains(&again), "{again}");
    }
    assert_eq!(proxy.operations(), Vec::<String>::new(), "a refused call asks nobody");
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/total"), 2);
    clock::set(at(11_500));
    let refused = function.call(&request).await;
    assert_eq!((refused.status, limit_status(&refused, 5, 2)), (429, (0, Some(1))));
    clock::set(at(12_500));
    let reply = function.call(&request).await;
    assert_eq!((reply.status, reply.header("retry-after")), (201, None));
    // A new environment learns the rate with one request to the store.
    let (function, proxy) = behind(&service, "create-job").await;
    assert_eq!(function.call(&request).await.status, 429);
    assert_eq!(proxy.operations().last().map(String::as_str), Some("UpdateItem"));
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/total"), 3);
}

#[tokio::test]
async fn a_changed_limit_applies_within_a_minute() {
    let service = Service::start().await;
    let body = json!({ "owner": "default", "scopes": ["read"], "requests_per_minute": 5, "burst": 5 });
    let (key_id, key) = id_and_key(&service, &body).await;
    clock::set(at(0));
    let (function, _proxy) = behind(&service, "list-jobs").await;
    let request = Request::new("GET", "/v1/jobs").header("authorization", &format!("Bearer {key}"));
    for _ in 0..5 {
        assert_eq!(function.call(&request).await.status, 200);
    }
    assert_eq!(function.call(&request).await.status, 429);
    let path = format!("/v1/admin/keys/{key_id}");
    service.call("PATCH", &path).json(&json!({ "requests_per_minute": 600, "burst": 60 })).expect(200).await;
    assert_eq!(function.call(&request).await.status, 429, "the key is remembered");
    clock::set(at(60_000));
    assert_eq!(limit_status(&function.call(&request).await, 600, 60), (59, Some(1)));
    service.call("PATCH", &path).json(&json!({ "requests_per_minute": null })).expect(200).await;
    clock::set(at(120_000));
    for _ in 0..70 {
        says_nothing(&function.call(&request).await);
    }
}

/// API Gateway limits all calls before any function, with a key or without. The account's owner sets that limit.
#[test]
fn the_api_gateway_has_a_throttle_of_its_own() {
    let template: Value = serde_json::to_value(
        yaml_serde::from_str::<yaml_serde::Value>(&TEMPLATE.replace("!Ref ", "").replace("!GetAtt ", ""))
            .unwrap_or_default(),
    )
    .unwrap_or_default();
    let settings = &template["Resources"]["HttpApi"]["Properties"]["DefaultRouteSettings"];
    for (name, parameter) in
        [("ThrottlingRateLimit", "ApiRequestsPerSecond"), ("ThrottlingBurstLimit", "ApiBurst")]
    {
        assert_eq!(settings[name], parameter);
        assert!(template["Parameters"][parameter]["Default"].as_u64().is_some_and(|limit| limit > 0));
    }
}
