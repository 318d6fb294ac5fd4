//! `/api/metrics`: the way to the operator's metrics store.

mod health;
mod query_range;
mod services;

use std::time::Duration;

use jobledger::Environment;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::metrics_store::{FakeStore, Says};
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Reply, Service, clock};
use serde_json::Value;

/// Every route.
const ROUTES: [&str; 3] = ["query_range?query=up", "services", "health"];

/// A series as a store has it.
const SERIES: &str = r#"[{"metric":{"job":"jobledger"},"values":[[1,"2"],[2,"NaN"]]}]"#;

fn matrix(series: &str) -> Says {
    Says::Answer(200, format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{series}}}}}"#))
}

fn vector(series: &str) -> Says {
    Says::Answer(200, format!(r#"{{"status":"success","data":{{"resultType":"vector","result":{series}}}}}"#))
}

/// A stack that asks this store.
async fn asking(store: &FakeStore) -> Service {
    Service::with(&[("MetricsQueryUrl", store.url().as_str())]).await
}

async fn ask(service: &Service, rest: &str) -> Reply {
    service.get(&format!("/api/metrics/{rest}")).send().await
}

/// The function by itself, with these variables.
async fn alone(service: &Service, variables: &[(&str, &str)]) -> Alone {
    let mut environment = service.environment_at("query-metrics", service.stack.dynamodb_endpoint());
    environment.vars.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Alone::start("query-metrics", environment).await
}

fn get(rest: &str) -> Request {
    let path = rest.split('?').next().unwrap_or_default();
    Request::new("GET", &format!("/api/metrics/{rest}")).route(&format!("GET /api/metrics/{path}"))
}

#[tokio::test]
async fn without_a_store_every_route_says_so() {
    let service = Service::shared().await;
    for route in ROUTES {
        is_problem(&ask(&service, route).await, 503, "no_metrics_store");
    }
    let health = service.anonymous("GET", "/health/detailed").expect(200).await.json;
    assert_eq!(health["services"]["metrics_store"], Value::Null);
}

#[tokio::test]
async fn a_refusal_is_told_from_a_fault() {
    let store = FakeStore::start(matrix("[]")).await;
    let service = asking(&store).await;
    let error = |text: &str| format!(r#"{{"status":"error","errorType":"x","error":"{text}"}}"#);
    for route in ROUTES {
        store.says(Says::Answer(400, error("1:3: parse error")));
        let reply = ask(&service, route).await;
        is_problem(&reply, 422, "invalid_query");
        assert!(reply.text.contains("1:3: parse error"), "{}", reply.text);
        for (status, body, words) in [
            (200, error("too many samples"), "too many samples"),
            (200, "<html>".to_owned(), "no answer of Prometheus"),
            (
                200,
                r#"{"status":"success","data":{"resultType":"string","result":[]}}"#.to_owned(),
                "another kind",
            ),
            (401, error("no token"), "no token"),
            (403, "Forbidden".to_owned(), "403: Forbidden"),
            (500, String::new(), "500"),
            (503, error("starting"), "starting"),
        ] {
            store.says(Says::Answer(status, body));
            let reply = ask(&service, route).await;
            is_problem(&reply, 502, "metrics_store_failed");
            assert!(reply.text.contains(words), "{words}: {}", reply.text);
        }
        store.says(Says::Bytes(50_000_000));
        let reply = ask(&service, route).await;
        is_problem(&reply, 502, "metrics_store_failed");
        assert!(reply.text.contains("5000000 bytes"), "{}", reply.text);
    }
    let unhealthy = service.anonymous("GET", "/health/detailed").expect(200).await.json;
    assert_eq!(
        (&unhealthy["overall"], &unhealthy["services"]["metrics_store"]["state"]),
        (&"degraded".into(), &"unhealthy".into())
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_a_fault_without_its_address() {
    let service = Service::with(&[("MetricsQueryUrl", "http://127.0.0.1:9/prometheus")]).await;
    for route in ROUTES {
        let reply = ask(&service, route).await;
        is_problem(&reply, 502, "metrics_store_failed");
        assert!(!reply.text.contains("127.0.0.1"), "{}", reply.text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up() {
    let store = FakeStore::start(Says::Nothing).await;
    clock::begin_paused();
    let environment = Environment {
        clock: clock::paused_now,
        ..Environment::new([("METRICS_QUERY_URL".to_owned(), store.url())].into())
    };
    let metrics = jobledger::metrics_store::MetricsStore::open(&environment).expect("a store");
    let began = tokio::time::Instant::now();
    let error = metrics.check(clock::paused_now()).await.expect_err("it hangs");
    assert_eq!(error.to_string(), "the metrics store did not answer within 5s");
    assert_eq!(began.elapsed().as_secs(), Duration::from_secs(5).as_secs());
    let error = metrics.services(clock::paused_now()).await.expect_err("it hangs");
    assert_eq!(error.to_string(), "the metrics store did not answer within 25s");
}

#[tokio::test]
async fn without_dynamodb_no_key_is_known_and_nothing_is_asked() {
    let service = Service::shared().await;
    let store = FakeStore::start(matrix("[]")).await;
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let mut environment = service.environment_at("query-metrics", proxy.url());
    environment.vars.insert("METRICS_QUERY_URL".to_owned(), store.url());
    let function = Alone::start("query-metrics", environment).await;
    proxy.plan(|_| Fault::broken());
    is_problem(&function.call(&get("health")).await, 503, "store_unavailable");
    assert_eq!(store.count(), 0);
    proxy.heal();
    function.call(&get("health")).await;
    assert_eq!(store.count(), 1);
}

#[tokio::test]
async fn a_wrong_setting_keeps_the_function_from_starting() {
    let service = Service::shared().await;
    for (name, value) in [
        ("METRICS_QUERY_URL", "prometheus:9090"),
        ("METRICS_QUERY_URL", "http://"),
        ("METRICS_QUERY_URL", "http://user@host"),
        ("METRICS_QUERY_URL", "http://host/?a=b"),
        ("METRICS_QUERY_AUTH", "basic"),
    ] {
        let mut variables = service.environment_at("query-metrics", service.stack.dynamodb_endpoint()).vars;
        variables.insert("METRICS_QUERY_URL".to_owned(), "http://host".to_owned());
        variables.insert(name.to_owned(), value.to_owned());
        let error =
            jobledger::metrics_store::MetricsStore::open(&Environment::new(variables)).expect_err(value);
        assert!(error.to_string().contains(name), "{error}");
    }
}
