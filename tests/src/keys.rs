//! API keys that tests create, and calls with them.

use jobledger::access::{StoredKey, put_key};
use jobledger::domain::{AccessKey, KeyHash, Owner, Scope, Timestamp};
use jobledger::environment::system_clock;
use jobledger::store::Written;
use serde_json::Value;

use crate::stored::tables;
use crate::{Call, Service, text};

/// Stores a key with a known text.
pub async fn add_key(service: &Service, key: &str, owner: &str, scopes: &[&str], end: Option<Timestamp>) {
    let (store, config) = tables(service).await;
    let hash = KeyHash::of(key);
    let access = AccessKey {
        key_id: hash.key_id(),
        owner: Owner::try_from(owner).expect("an owner"),
        scopes: scopes.iter().map(|&scope| Scope::try_from(scope).expect("a scope")).collect(),
        expires_at: end,
        rate_limit: None,
        storage_quota_bytes: None,
        max_types: None,
    };
    let plan = put_key(&config.tables, &StoredKey::new(access, &hash, None, None, system_clock()));
    assert_eq!(store.put(plan).await.expect("an answer"), Written::Done(None));
}

/// Creates a key; returns the answer's description of it.
#[track_caller]
pub fn create_key(service: &Service, body: &Value) -> impl Future<Output = Value> {
    let call = service.post("/v1/admin/keys", body).expect(201);
    async move { call.await.json }
}

/// Creates a key; returns its id and its text.
#[track_caller]
pub fn id_and_key(service: &Service, body: &Value) -> impl Future<Output = (String, String)> {
    let made = create_key(service, body);
    async move {
        let made = made.await;
        (text(&made["key_id"]), text(&made["key"]))
    }
}

/// A request with this key.
pub fn with_key(service: &Service, key: &str, method: &str, path: &str) -> Call {
    service.anonymous(method, path).header("x-api-key", key)
}
