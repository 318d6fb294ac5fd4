//! Tickets: each use checks the key that the ticket stands for.

use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::Proxy;
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::problems::{is_problem, is_unauthenticated, refuses};
use serde_json::{Value, json};

/// The target of a ticket: the Function URL, as the local stack serves it.
async fn place(service: &Service, key: &str, query: &str) -> String {
    let link = service.staying("GET", &format!("/v1/jobs/export?{query}")).header("x-api-key", key);
    let link = link.expect(307).await;
    let place = link.header("location").expect("a place");
    format!("/lambda-url/export-jobs/v1/jobs/export?{}", place.split_once('?').expect("a ticket").1)
}

async fn change(service: &Service, key_id: &str, change: &Value) {
    service.call("PATCH", &format!("/v1/admin/keys/{key_id}")).json(change).expect(200).await;
}

#[tokio::test]
async fn a_ticket_ends_with_its_key() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let ticket = place(&service, &key, "").await;
    service.call("DELETE", &format!("/v1/admin/keys/{key_id}")).expect(200).await;
    is_unauthenticated(&service.anonymous("GET", &ticket).send().await);
}

#[tokio::test]
async fn a_ticket_is_refused_once_its_key_lost_the_read_scope() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "a", "scopes": ["read", "write"] })).await;
    let ticket = place(&service, &key, "").await;
    change(&service, &key_id, &json!({ "scopes": ["write"] })).await;
    let reply = service.anonymous("GET", &ticket).send().await;
    is_problem(&reply, 403, "missing_scope");
    assert!(reply.text.contains("read"), "{}", reply.text);
}

#[tokio::test]
async fn a_ticket_for_another_owner_is_refused_once_its_key_is_no_admin() {
    let service = Service::start().await;
    service.post("/v1/jobs?owner=b", &json!({ "type": "sesame" })).expect(201).await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "a", "scopes": ["admin"] })).await;
    let (own, others) = (place(&service, &key, "").await, place(&service, &key, "owner=b").await);
    change(&service, &key_id, &json!({ "scopes": ["read"] })).await;
    let reply = service.anonymous("GET", &others).send().await;
    is_problem(&reply, 403, "missing_scope");
    assert!(!reply.text.contains("sesame"), "{}", reply.text);
    service.anonymous("GET", &own).expect(200).await;
}

#[tokio::test]
async fn an_admins_ticket_exports_the_owner_that_it_was_created_for() {
    let service = Service::start().await;
    service.post("/v1/jobs?owner=b", &json!({ "type": "sesame" })).expect(201).await;
    let (_, key) = id_and_key(&service, &json!({ "owner": "a", "scopes": ["admin"] })).await;
    let ticket = place(&service, &key, "owner=b").await;
    for _ in 0..2 {
        assert!(service.anonymous("GET", &ticket).expect(200).await.text.contains("sesame"));
    }
    let reply = service.anonymous("GET", &format!("{ticket}&owner=a&limit=1")).send().await;
    refuses(&reply, 422, "invalid_query", &["limit", "owner"]);
    // A ticket that is given twice is refused.
    let again = format!("{ticket}&{}", ticket.split_once('?').expect("a ticket").1);
    refuses(&service.anonymous("GET", &again).send().await, 422, "invalid_query", &["ticket"]);
}

/// A call with a ticket is a call of its key: it counts for the key's rate and usage.
#[tokio::test]
async fn a_call_with_a_ticket_counts_for_the_rate_and_usage_of_its_key() {
    let service = Service::start().await;
    let body = json!({ "owner": "a", "scopes": ["read"], "requests_per_minute": 1, "burst": 3 });
    let (key_id, key) = id_and_key(&service, &body).await;
    let ticket = place(&service, &key, "").await;
    for left in ["1", "0"] {
        let file = service.anonymous("GET", &ticket).expect(200).await;
        let limit_status = file.header("ratelimit").expect("how the key stands").to_owned();
        assert!(limit_status.contains(&format!("r={left};")), "{limit_status}");
    }
    for _ in 0..3 {
        let refused = service.anonymous("GET", &ticket).send().await;
        is_problem(&refused, 429, "rate_limited");
        let seconds = refused.header("retry-after").and_then(|seconds| seconds.parse::<u32>().ok());
        assert!(seconds.is_some_and(|seconds| (1..=120).contains(&seconds)), "{:?}", refused.headers);
        assert!(refused.header("ratelimit-policy").is_some(), "{:?}", refused.headers);
    }
    is_problem(&with_key(&service, &key, "GET", "/v1/jobs").send().await, 429, "rate_limited");
    service.stack.flush().await;
    let usage = service.get(&format!("/v1/usage?owner=a&key_id={key_id}")).expect(200).await;
    let files = json!({ "calls": 5, "by_status": { "200": 2, "429": 3 } });
    assert_eq!(usage.at("/by_route/export-jobs"), &files, "{}", usage.text);
}

/// An unknown ticket is refused, and repeating it costs no further read.
#[tokio::test]
async fn unknown_tickets_are_remembered_as_unknown() {
    let service = Service::start().await;
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let function = Alone::start("export-jobs", service.environment_at("export-jobs", proxy.url())).await;
    proxy.heal();
    for _ in 0..20 {
        let request = Request::new("GET", "/v1/jobs/export?ticket=unknown").without("authorization");
        assert_eq!(function.open(&request).await.status, 401);
    }
    assert_eq!(proxy.operations(), ["GetItem"]);
}
