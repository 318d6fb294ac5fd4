//! Keys. To manage keys, a function reads the caller's key at each call; else it reads the key once a minute.

use jobledger_tests::alone::Request;
use jobledger_tests::keys::create_key;
use serde_json::json;

use super::CostFixture;

#[tokio::test]
async fn a_call_that_manages_keys_reads_its_own() {
    let fixture = CostFixture::start().await;
    let made = create_key(&fixture.service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let path = format!("/v1/admin/keys/{}", made["key_id"].as_str().expect("an id"));
    let keys = fixture.metered("keys").await;
    let new = r#"{"owner":"a","scopes":["read"]}"#;
    for (what, request, requests, read, write) in [
        ("a new key and its mark", Request::new("POST", "/v1/admin/keys").body(new), 3, 1, 2),
        ("a list of keys", Request::new("GET", "/v1/admin/keys"), 2, 2, 0),
        ("a key", Request::new("GET", &path), 2, 2, 0),
        ("a change of a key", Request::new("PATCH", &path).body(r#"{"name":"n"}"#), 3, 2, 1),
        ("a revocation", Request::new("DELETE", &path), 2, 1, 1),
    ] {
        for _ in 0..2 {
            let (reply, bill) = keys.call(&fixture, &request).await;
            assert!([200, 201].contains(&reply.status), "{what}: {}", reply.text);
            bill.show(what);
            bill.within(requests, read, write);
        }
    }
}

#[tokio::test]
async fn asking_which_service_this_is_reads_the_key_and_the_id() {
    let fixture = CostFixture::start().await;
    let ingest = fixture.metered("ingest-jobs").await;
    let request = Request::new("GET", "/v1/admin/ingest");
    for (requests, write) in [(3, 1), (2, 0), (2, 0)] {
        let (reply, bill) = ingest.call(&fixture, &request).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        bill.show("which service this is");
        bill.within(requests, 2, write);
    }
}
