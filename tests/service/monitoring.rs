//! A real Prometheus and a real `VictoriaMetrics` scrape the service. Their answers are those of the API, to the job; and the
//! queries of the dashboards, the alerts and the documents find what they are to show.

use std::collections::{BTreeMap, BTreeSet};

use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::alone::Alone;
use jobledger_tests::jobs::create;
use jobledger_tests::prometheus::{Product, Server};
use jobledger_tests::workspace::root;
use serde_json::{Value, json};

/// Jobs in each status, records, a worker, planned jobs, and requests that failed; all of it counted and noted.
async fn busy() -> Service {
    let service = Service::start().await;
    service.call("POST", "/v1/admin/ingest/jobs/mock").expect(200).await;
    for hours in [1, 30] {
        let due = system_clock().plus_hours(hours);
        create(&service, &json!({ "type": "render", "available_at": due })).await;
    }
    create(&service, &json!({ "type": "render" })).await;
    create(&service, &json!({ "type": "held" })).await;
    let claim = json!({ "worker_id": "w", "types": ["held"], "lease_seconds": 900 });
    service.post("/v1/jobs/claim", &claim).expect(200).await;
    service.call("PUT", "/v1/records/source/a").json(&json!({ "status": "ready" })).expect(201).await;
    service.get("/v1/jobs?limit=x").expect(422).await;
    service.settled().await;
    let environment = service.environment_at("reap-leases", service.stack.dynamodb_endpoint());
    Alone::start("reap-leases", environment).await.invoke(&json!({})).await.expect("a look");
    service.stack.flush().await;
    service.settled().await;
    service
}

/// The numbers that the API tells, each by the query that Prometheus is asked for.
async fn told(service: &Service) -> BTreeMap<&'static str, BTreeMap<String, String>> {
    let count = service.get("/v1/jobs/count?by=type_and_status").expect(200).await.json;
    let pairs = |value: &Value, label: &str| -> BTreeMap<String, String> {
        let numbers = value.as_object().expect("numbers").iter();
        numbers.map(|(name, number)| (format!("{label}={name}"), number.to_string())).collect()
    };
    let mut both = BTreeMap::new();
    for (kind, counts) in count["by_type_and_status"].as_object().expect("types") {
        for (status, number) in counts.as_object().expect("statuses") {
            both.insert(format!("status={status},type={kind}"), number.to_string());
        }
    }
    let types = service.get("/v1/types?limit=100").expect(200).await.json;
    let mut waits = BTreeMap::new();
    for kind in types["types"].as_array().expect("types") {
        for state in ["due", "scheduled", "retrying"] {
            let number = kind[state].as_u64().expect("a number");
            if number > 0 {
                let name = kind["type"].as_str().expect("a name");
                waits.insert(format!("state={state},type={name}"), number.to_string());
            }
        }
    }
    let stats = service.get("/v1/jobs/stats").expect(200).await.json;
    let total = |number: &Value| BTreeMap::from([(String::new(), number.to_string())]);
    BTreeMap::from([
        ("sum by (status) (jobledger_jobs)", pairs(&count["by_status"], "status")),
        ("sum by (type) (jobledger_jobs) > 0", pairs(&count["by_type"], "type")),
        ("sum by (type, status) (jobledger_jobs) > 0", both),
        ("sum by (type, state) (jobledger_queue_jobs) > 0", waits),
        ("sum(jobledger_jobs_created_total)", total(&stats["created_jobs"])),
        ("sum(jobledger_records)", total(&json!(1))),
        ("jobledger_active_workers", total(&json!(1))),
        ("sum(jobledger_http_requests_total{status=\"422\"})", total(&json!(1))),
        ("sum(jobledger_http_requests_total{route=\"/v1/jobs\",method=\"POST\"})", total(&json!(4))),
    ])
}

async fn agrees(service: &Service, server: &Server) {
    for (query, expect) in told(service).await {
        let right = async || (server.query(query).await.expect(query) == expect).then_some(());
        service.eventually(&format!("{query}: {expect:?}"), right).await;
    }
}

/// The queries of a dashboard, by the titles of their panels.
fn panels(file: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("infra/grafana").join(file)).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query").replace("$type", ".*");
            queries.push((panel["title"].as_str().expect("a title").to_owned(), query));
        }
    }
    queries
}

/// The queries of the alerts: each must be understood, and may find nothing.
fn alerts() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("infra/prometheus/alerts.yml")).expect("the alerts");
    let expressions = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    expressions.map(str::to_owned).collect()
}

/// The queries that scale workers: they always find a number.
fn scalers() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("infra/keda/scaledobject.yaml")).expect("the example");
    let example: Value = yaml_serde::from_str(&text).expect("YAML");
    let triggers = example["spec"]["triggers"].as_array().expect("triggers");
    triggers
        .iter()
        .map(|trigger| trigger["metadata"]["query"].as_str().expect("a query").to_owned())
        .collect()
}

/// The queries that the API reference shows.
fn documented() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("docs/api.md")).expect("the reference");
    let (_, rest) = text.split_once("```promql\n").expect("queries");
    let (queries, _) = rest.split_once("```").expect("their end");
    queries.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned()).collect()
}

#[tokio::test]
async fn prometheus_knows_what_the_api_says() {
    let service = busy().await;
    let Some(server) = Server::start(Product::Prometheus, &service).await else { return };
    agrees(&service, &server).await;
    // A job fails after the first scrape.
    let job = create(&service, &json!({ "type": "fails", "max_attempts": 1 })).await;
    service.settled().await;
    let ended = "jobledger_jobs_ended_total{type=\"fails\",status=\"failed\"}";
    let is_known = async || (!server.query(ended).await.ok()?.is_empty()).then_some(());
    service.eventually("the new type", is_known).await;
    let claim = json!({ "worker_id": "w", "types": ["fails"] });
    let claimed = service.post("/v1/jobs/claim", &claim).expect(200).await;
    let report =
        json!({ "lease_token": claimed.at("/jobs/0/lease_token"), "status": "failed", "error": "no" });
    service.call("PATCH", &format!("/v1/jobs/{job}")).json(&report).expect(200).await;
    service.settled().await;
    // So the numbers of functions move, too.
    service.stack.flush().await;
    let all = panels("operations.json").into_iter().chain(panels("job-types.json"));
    let all: BTreeSet<_> = all.collect();
    assert!(all.len() > 20, "{all:?}");
    for (title, query) in all {
        // A rate needs two scrapes.
        let shows = async || {
            let found = server.query(&query).await.unwrap_or_else(|error| panic!("{title}: {error}"));
            (!found.is_empty()).then_some(())
        };
        service.eventually(&format!("numbers of the panel {title:?}: {query}"), shows).await;
    }
    // The mock jobs and those of `busy`: one is due, and none runs.
    for (query, expect) in scalers().iter().zip(["1", "0"]) {
        let query = query.replace("transcode", "render");
        let found = server.query(&query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        let number = found.values().next().map_or("", String::as_str);
        assert!(number == expect || query.contains("oldest"), "{query}: {number}, not {expect}");
    }
    let (alerts, documented) = (alerts(), documented());
    assert!(alerts.len() > 10 && documented.len() > 5, "{alerts:?} {documented:?}");
    for query in alerts.iter().chain(&documented) {
        server.query(query).await.unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[tokio::test]
async fn victoria_metrics_knows_what_the_api_says() {
    let service = busy().await;
    let Some(server) = Server::start(Product::VictoriaMetrics, &service).await else { return };
    agrees(&service, &server).await;
}

#[test]
fn every_alert_has_a_paragraph() {
    let text = std::fs::read_to_string(root().join("infra/prometheus/alerts.yml")).expect("the alerts");
    let operations = std::fs::read_to_string(root().join("docs/operations.md")).expect("the page");
    let named = |prefix: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix(prefix)).map(str::to_owned).collect()
    };
    let (alerts, runbooks) = (named("- alert: "), named("runbook: docs/operations.md#"));
    assert_eq!(alerts.iter().map(|alert| alert.to_lowercase()).collect::<Vec<_>>(), runbooks);
    for alert in alerts {
        assert!(operations.contains(&format!("\n## {alert}\n")), "{alert}");
    }
}
