//! `GET /api/metrics/services`.

use jobledger_tests::metrics_store::{FakeStore, Says};
use jobledger_tests::problems::is_problem;
use serde_json::json;

use super::{ask, asking, vector};

#[tokio::test]
async fn the_services_that_are_scraped_are_listed() {
    let store = FakeStore::start(vector("[]")).await;
    let service = asking(&store).await;
    assert_eq!(ask(&service, "services").await.json, json!({ "services": [] }));
    store.says(vector(
        r#"[{"metric":{"__name__":"up","job":"jobledger","instance":"a:443","deployment":"production"},"value":[1768107600.123,"1"]},
            {"metric":{"__name__":"up","job":"workers","instance":"b:80"},"value":[1768107600.123,"0"]}]"#,
    ));
    let reply = ask(&service, "services").await;
    assert_eq!(
        reply.json,
        json!({ "services": [
            { "job": "jobledger", "instance": "a:443", "is_up": true, "labels": { "deployment": "production" } },
            { "job": "workers", "instance": "b:80", "is_up": false, "labels": {} },
        ] })
    );
    let asked = store.asked();
    assert_eq!(asked.path, "/workspaces/ws-1/api/v1/query");
    assert!(asked.body.starts_with("query=up&time="), "{}", asked.body);
    store.says(vector(r#"[{"metric":7}]"#));
    is_problem(&ask(&service, "services").await, 502, "metrics_store_failed");
    let many = (0..1_500).map(|n| format!(r#"{{"metric":{{"instance":"{n}"}},"value":[1,"1"]}}"#));
    store.says(vector(&format!("[{}]", many.collect::<Vec<_>>().join(","))));
    let reply = ask(&service, "services").await;
    assert_eq!(reply.at("/services").as_array().map(Vec::len), Some(1_000));
    store.says(Says::Answer(404, "not found".to_owned()));
    is_problem(&ask(&service, "services").await, 502, "metrics_store_failed");
}
