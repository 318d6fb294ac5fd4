//! What answers say of a key's rate, and what becomes of calls that come too often.

use std::cell::Cell;
use std::collections::BTreeMap;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger_local::TEMPLATE;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::Proxy;
use jobledger_tests::{Call, Reply, Service};
use serde_json::{Value, json};

use super::BEGIN_MS;
use crate::routes::{create, is_problem};

thread_local! {
    static NOW_MS: Cell<i64> = const { Cell::new(BEGIN_MS) };
}

/// What time it is for the functions of this thread that are asked to go by it.
fn clock() -> Timestamp {
    Timestamp::from_millis(NOW_MS.get())
}

/// Makes a key of the owner `default`; answers its text and what it is called.
pub(crate) async fn make_key(service: &Service, scopes: &[&str], rate: &Value) -> (String, String) {
    let mut body = json!({ "owner": "default", "scopes": scopes });
    body.as_object_mut().expect("an object").extend(rate.as_object().expect("an object").clone());
    let reply = service.post("/v1/admin/keys", &body).expect(201).await;
    let text = |name: &str| reply.at(name).as_str().expect("a text").to_owned();
    (text("/key"), text("/key_id"))
}

/// An item of a structured field (RFC 9651), as far as these headers go: a string, and whole numbers by name.
#[track_caller]
fn item(text: &str) -> (String, BTreeMap<String, u64>) {
    let mut parts = text.split(';');
    let name = parts.next().and_then(|name| name.strip_prefix('"')?.strip_suffix('"')).expect("a string");
    let parameters = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or_else(|| panic!("{part} has no value"));
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase()), "{name}");
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{value} is no whole number")))
    });
    (name.to_owned(), parameters.collect())
}

/// What is left, and after how many seconds nothing is missing. `RateLimit-Policy` must say what the key may do.
#[track_caller]
fn standing(reply: &Reply, quota: u64, window: u64) -> (u64, u64) {
    let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name}: {}", reply.text));
    let (policy, parameters) = item(header("ratelimit-policy"));
    let expected = [("q".to_owned(), quota), ("w".to_owned(), window)];
    assert_eq!((policy.as_str(), parameters), ("requests", BTreeMap::from(expected)));
    let (policy, parameters) = item(header("ratelimit"));
    assert_eq!((policy.as_str(), parameters.len()), ("requests", 2));
    (parameters["r"], parameters["t"])
}

#[track_caller]
fn says_nothing(reply: &Reply) {
    assert_eq!((reply.header("ratelimit"), reply.header("ratelimit-policy")), (None, None), "{}", reply.text);
}

#[tokio::test]
async fn every_answer_to_a_limited_key_tells_what_is_left() {
    let service = Service::start().await;
    let rate = json!({ "requests_per_minute": 60, "burst": 50 });
    let (key, _) = make_key(&service, &["read", "write"], &rate).await;
    let call = |method: &str, path: &str| service.anonymous(method, path).header("x-api-key", &key);
    let id = create(&service, &json!({ "type": "render" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let job = json!({ "type": "render", "external_id": "1" });
    let calls: Vec<(Call, u16)> = vec![
        (call("GET", "/v1/jobs"), 200),
        (call("POST", "/v1/jobs").json(&job), 201),
        (call("POST", "/v1/jobs").json(&json!({ "type": "other", "external_id": "1" })), 409),
        (call("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001"), 404),
        (call("GET", "/v1/jobs?nothing=1"), 422),
        (call("POST", "/v1/jobs").body("{"), 400),
        (call("POST", "/v1/jobs/claim").json(&json!({})), 403),
        (call("GET", "/v1/jobs?owner=other"), 403),
        (call("GET", "/v1/admin/keys"), 403),
        (call("GET", "/lambda-url/export-jobs/v1/jobs/export?format=csv"), 200),
        (call("GET", "/lambda-url/export-jobs/v1/jobs/export?format=x"), 422),
        (service.staying("GET", "/v1/jobs/export").header("x-api-key", &key), 307),
        (call("GET", "/v1/usage"), 200),
    ];
    let (mut before, count) = (50, calls.len());
    for (call, status) in calls {
        let (left, full_in) = standing(&call.expect(status).await, 50, 50);
        // A second gives one back.
        assert!(left < 50 && left + 2 >= before, "{left} after {before}");
        assert!((1..=50).contains(&full_in), "{full_in}");
        before = left;
    }
    assert!(before + 2 >= 50 - u64::try_from(count).expect("a count") && before <= 49, "{before}");
    // Nothing is said where there is no limit, no key, or none that is good.
    let (free, _) = make_key(&service, &["read"], &json!({ "requests_per_minute": null })).await;
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

/// A function that goes by this thread's clock, behind a proxy.
async fn behind(service: &Service, name: &str) -> (Alone, Proxy) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let mut environment = service.stack.environment(name).expect("the function");
    environment.vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), proxy.url().to_owned());
    (Alone::start(name, Environment { clock, ..environment }).await, proxy)
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_back_and_changes_nothing() {
    let service = Service::start().await;
    let rate = json!({ "requests_per_minute": 20, "burst": 2 });
    let (key, _) = make_key(&service, &["write"], &rate).await;
    let (function, proxy) = behind(&service, "create-job").await;
    let request = Request::new("POST", "/v1/jobs")
        .header("authorization", &format!("Bearer {key}"))
        .body(r#"{"type":"render"}"#);
    for left in [1, 0] {
        let reply = function.call(&request).await;
        assert_eq!((reply.status, standing(&reply, 2, 6).0), (201, left));
    }
    NOW_MS.set(BEGIN_MS + 500);
    proxy.heal();
    for _ in 0..5 {
        let refused = function.call(&request).await;
        is_problem(&refused, 429, "rate_limited");
        assert_eq!(standing(&refused, 2, 6), (0, 6));
        assert_eq!(refused.header("retry-after"), Some("3"));
    }
    assert_eq!(proxy.operations(), Vec::<String>::new(), "a refused call asks nobody");
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/total"), 2);
    NOW_MS.set(BEGIN_MS + 2_500);
    let refused = function.call(&request).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    NOW_MS.set(BEGIN_MS + 3_500);
    let reply = function.call(&request).await;
    assert_eq!((reply.status, reply.header("retry-after")), (201, None));
    // One that began only now knows it after one look.
    let (function, proxy) = behind(&service, "create-job").await;
    assert_eq!(function.call(&request).await.status, 429);
    assert_eq!(proxy.operations().last().map(String::as_str), Some("UpdateItem"));
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/total"), 3);
}

#[tokio::test]
async fn a_changed_limit_comes_through_within_a_minute() {
    let service = Service::start().await;
    let rate = json!({ "requests_per_minute": 60, "burst": 5 });
    let (key, key_id) = make_key(&service, &["read"], &rate).await;
    let (function, _proxy) = behind(&service, "list-jobs").await;
    let request = Request::new("GET", "/v1/jobs").header("authorization", &format!("Bearer {key}"));
    for _ in 0..5 {
        assert_eq!(function.call(&request).await.status, 200);
    }
    assert_eq!(function.call(&request).await.status, 429);
    let path = format!("/v1/admin/keys/{key_id}");
    service.call("PATCH", &path).json(&json!({ "requests_per_minute": 600, "burst": 60 })).expect(200).await;
    assert_eq!(function.call(&request).await.status, 429, "the key is remembered");
    NOW_MS.set(BEGIN_MS + 60_000);
    assert_eq!(standing(&function.call(&request).await, 60, 6), (59, 1));
    service.call("PATCH", &path).json(&json!({ "requests_per_minute": null })).expect(200).await;
    NOW_MS.set(BEGIN_MS + 120_000);
    for _ in 0..70 {
        says_nothing(&function.call(&request).await);
    }
}

/// Before any function, API Gateway takes no more than the account's owner decided, for all keys and none.
#[test]
fn the_api_has_a_throttle_of_its_own() {
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
