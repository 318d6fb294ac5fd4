//! `GET /api/metrics/health`.

use jobledger_tests::metrics_store::FakeStore;
use serde_json::json;

use super::{ask, asking, vector};

#[tokio::test]
async fn a_store_that_answers_is_healthy() {
    let store = FakeStore::start(vector(r#"[{"metric":{},"value":[1,"1"]}]"#)).await;
    let service = asking(&store).await;
    let reply = ask(&service, "health").await;
    assert_eq!((reply.status, &reply.json["state"]), (200, &json!("healthy")));
    assert!(reply.json["latency_ms"].is_u64(), "{}", reply.text);
    assert!(store.asked().body.starts_with("query=vector%281%29&time="), "{}", store.asked().body);
    let health = service.anonymous("GET", "/health/detailed").expect(200).await.json;
    assert_eq!(health["services"]["metrics_store"]["state"], "healthy", "{health}");
}
