//! Strangers who try keys: they cost little, and do not slow those who are known.

use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::Proxy;
use jobledger_tests::keys::id_and_key;
use serde_json::json;

/// More keys than an execution environment remembers.
const FLOOD: usize = 1_100;

fn with_key(text: &str) -> Request {
    Request::new("GET", "/v1/jobs/no-id").header("authorization", &format!("Bearer {text}"))
}

async fn behind(service: &Service, name: &str) -> (Proxy, Alone) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let function = Alone::start(name, service.environment_at(name, proxy.url())).await;
    proxy.heal();
    (proxy, function)
}

fn reads_of_keys(proxy: &Proxy) -> usize {
    proxy.seen().iter().filter(|seen| seen.body["Key"]["kind"]["S"] == "keys").count()
}

#[tokio::test]
async fn a_text_that_is_no_key_is_refused_unread() {
    let service = Service::start().await;
    let (_, key) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let (proxy, function) = behind(&service, "get-job").await;
    let upper = key.replace("jobledger_", "").to_uppercase();
    for wrong in [&key[..key.len() - 1], &format!("{key}0"), &format!("jobledger_{upper}"), "jobledger_"] {
        assert_eq!(function.call(&with_key(wrong)).await.status, 401, "{wrong}");
        assert_eq!(reads_of_keys(&proxy), 0, "{wrong}");
    }
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    assert_eq!(reads_of_keys(&proxy), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_drive_out_a_known_key() {
    let service = Service::start().await;
    let (_, key) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let (proxy, function) = behind(&service, "get-job").await;
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    for number in 0..FLOOD {
        assert_eq!(function.call(&with_key(&format!("stranger-{number}"))).await.status, 401);
    }
    let before = reads_of_keys(&proxy);
    assert_eq!(before, FLOOD + 1, "each is looked for once");
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    assert_eq!(reads_of_keys(&proxy), before);
}
