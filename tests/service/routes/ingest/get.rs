//! `GET /v1/admin/ingest`.

use std::collections::BTreeSet;

use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use tokio::task::JoinSet;

const PATH: &str = "/v1/admin/ingest";

async fn service_id(service: &Service) -> String {
    text(service.get(PATH).expect(200).await.at("/service_id"))
}

#[tokio::test]
async fn a_service_keeps_its_id_and_others_have_others() {
    let (service, other) = (Service::start().await, Service::start().await);
    let id = service_id(&service).await;
    assert_eq!(service_id(&service).await, id);
    assert_ne!(service_id(&other).await, id);
    let reply = service.get(&format!("{PATH}?owner=other")).expect(200).await;
    assert_eq!((text(reply.at("/service_id")), text(reply.at("/owner"))), (id, "other".to_owned()));
}

#[tokio::test]
async fn of_many_first_calls_at_once_all_get_the_same_id() {
    let service = Service::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        calls.spawn(service.get(PATH).expect(200));
    }
    let ids: BTreeSet<String> =
        calls.join_all().await.iter().map(|reply| text(reply.at("/service_id"))).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn the_key_is_read_anew_and_needs_its_scope() {
    let service = Service::start().await;
    add_key(&service, "reads", "default", &["read", "write", "work"], None).await;
    let reply = service.anonymous("GET", PATH).header("x-api-key", "reads").send().await;
    is_problem(&reply, 403, "missing_scope");
    is_problem(&service.anonymous("GET", PATH).send().await, 401, "unauthenticated");
    refuses(&service.get(&format!("{PATH}?x=1")).send().await, 422, "invalid_query", &["x"]);
}
