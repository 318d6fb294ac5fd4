//! `GET /health`.

mod detailed;

use jobledger_tests::Service;
use jobledger_tests::problems::refuses;
use serde_json::json;

#[tokio::test]
async fn it_answers_without_a_key() {
    let service = Service::start().await;
    let reply = service.anonymous("GET", "/health").expect(200).await;
    assert_eq!(reply.json, json!({ "status": "healthy" }));
    assert!(reply.header("x-request-id").is_some());
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::start().await;
    refuses(&service.anonymous("GET", "/health?deep=1").send().await, 422, "invalid_query", &["deep"]);
}
