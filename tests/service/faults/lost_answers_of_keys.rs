//! The same for keys. Whichever answer is lost, a key is created, changed and revoked once, and audited once.

use jobledger_tests::alone::Request;
use jobledger_tests::faults::Fault;
use jobledger_tests::keys::{create_key, with_key};
use jobledger_tests::log::LogLines;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::FaultFixture;

/// More requests than any one call sends.
const MAX_REQUESTS: usize = 8;

/// Calls `keys` several times, each on its own key, and loses another answer each time. There must be one audit line.
async fn each_lost(
    fixture: &FaultFixture,
    action: &str,
    request: impl Fn(&str) -> Request,
    look: impl AsyncFn(&Reply, &str),
) {
    let (log, _listening) = LogLines::listen(&fixture.service).await;
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let behind = fixture.behind("keys").await.knows_the_key().await;
        for number in 0..MAX_REQUESTS {
            let key_id = text(
                &create_key(&fixture.service, &json!({ "owner": "a", "scopes": ["read"] })).await["key_id"],
            );
            let told = log.audit().len();
            behind.proxy.spoil(number, fault.clone());
            let reply = behind.call(&request(&key_id)).await;
            let sent = behind.proxy.operations();
            let what = format!("{action}, {fault:?} at {number} of {sent:?}: {}", reply.text);
            let lines = log.audit().split_off(told);
            let told: Vec<_> = lines.iter().map(|line| (text(&line["audit"]), &line["subject"])).collect();
            assert_eq!(told, [(action.to_owned(), reply.at("/key_id"))], "{what}");
            let request_id = reply.header("x-request-id");
            assert_eq!(lines[0]["request_id"].as_str(), request_id, "{what}");
            look(&reply, &what).await;
            if sent.len() <= number {
                break;
            }
            assert!(number + 1 < MAX_REQUESTS, "more requests than are tried");
        }
    }
}

async fn shown(service: &Service, key_id: &Value) -> Value {
    service.get(&format!("/v1/admin/keys/{}", text(key_id))).expect(200).await.json
}

#[tokio::test]
async fn a_key_is_created_once() {
    let fixture = FaultFixture::start().await;
    let body = r#"{"owner":"b","scopes":["read"]}"#;
    let made = std::cell::Cell::new(0);
    each_lost(
        &fixture,
        "key.made",
        |_| Request::new("POST", "/v1/admin/keys").body(body),
        async |reply, what| {
            assert_eq!(reply.status, 201, "{what}");
            made.set(made.get() + 1);
            with_key(&fixture.service, &text(reply.at("/key")), "GET", "/v1/jobs").expect(200).await;
            let list = fixture.service.get("/v1/admin/keys?owner=b").expect(200).await;
            assert_eq!(list.at("/keys").as_array().map(Vec::len), Some(made.get()), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_key_is_changed_for_its_caller() {
    let fixture = FaultFixture::start().await;
    each_lost(
        &fixture,
        "key.changed",
        |key_id| {
            let change = r#"{"name":"n","requests_per_minute":5,"burst":10}"#;
            Request::new("PATCH", &format!("/v1/admin/keys/{key_id}")).body(change)
        },
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/burst")), (200, &json!(10)), "{what}");
            assert_eq!(shown(&fixture.service, reply.at("/key_id")).await, reply.json, "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_key_is_revoked_once() {
    let fixture = FaultFixture::start().await;
    each_lost(
        &fixture,
        "key.revoked",
        |key_id| Request::new("DELETE", &format!("/v1/admin/keys/{key_id}")),
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/active")), (200, &json!(false)), "{what}");
            assert_eq!(shown(&fixture.service, reply.at("/key_id")).await, reply.json, "{what}");
            // Another call finds the key revoked, and is not audited.
            let (log, _listening) = LogLines::listen(&fixture.service).await;
            let path = format!("/v1/admin/keys/{}", text(reply.at("/key_id")));
            let again = fixture.service.call("DELETE", &path).expect(200).await;
            assert_eq!((&again.json, log.audit().len()), (&reply.json, 0), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn the_first_key_is_created_once() {
    let fixture = FaultFixture::start().await;
    for fault in [Fault::AnswerLost, Fault::Lost, Fault::throttled(), Fault::broken()] {
        let behind = fixture.behind("create-admin-key").await;
        let before = keys(&fixture).await;
        behind.proxy.spoil(0, fault);
        let made = behind.function.invoke(&json!({ "owner": "ops" })).await.expect("a key");
        assert_eq!(keys(&fixture).await, before + 1, "none that nobody knows");
        with_key(&fixture.service, &text(&made["key"]), "GET", "/v1/admin/keys").expect(200).await;
    }
}

async fn keys(fixture: &FaultFixture) -> usize {
    let list = fixture.service.get("/v1/admin/keys").expect(200).await;
    list.at("/keys").as_array().expect("keys").len()
}
