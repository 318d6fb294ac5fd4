//! Keys that callers change and revoke, one after the other and at once.

use futures_util::future::join_all;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::keys::{add_key, create_key, id_and_key, with_key};
use jobledger_tests::problems::is_problem;
use jobledger_tests::{Service, text};
use serde_json::json;

use super::path;

#[tokio::test]
async fn absent_fields_stay_and_null_clears_them() {
    let service = Service::start().await;
    let made = json!({
        "owner": "a", "scopes": ["read"], "name": "n", "requests_per_minute": 100, "burst": 50,
        "storage_quota_bytes": 1_000, "expires_at": "2126-01-01T00:00:00.000Z",
    });
    let key_id = text(&create_key(&service, &made).await["key_id"]);
    let mut expected = service.get(&path(&key_id)).expect(200).await.json;
    for (change, shown) in [
        (json!({ "name": "m" }), json!({ "name": "m" })),
        (json!({ "name": null }), json!({ "name": null })),
        (json!({ "scopes": ["work", "admin"] }), json!({ "scopes": ["work", "admin"] })),
        (json!({ "requests_per_minute": 200 }), json!({ "requests_per_minute": 200 })),
        (json!({ "burst": 60 }), json!({ "burst": 60 })),
        // If the burst is not set, it follows the rate.
        (json!({ "burst": null }), json!({ "burst": 200 })),
        (json!({ "requests_per_minute": 300 }), json!({ "requests_per_minute": 300, "burst": 300 })),
        (json!({ "requests_per_minute": 900 }), json!({ "requests_per_minute": 900, "burst": 600 })),
        (json!({ "requests_per_minute": null }), json!({ "requests_per_minute": null, "burst": null })),
        (json!({ "requests_per_minute": 5, "burst": 10 }), json!({ "requests_per_minute": 5, "burst": 10 })),
        (json!({ "storage_quota_bytes": 0 }), json!({ "storage_quota_bytes": 0 })),
        (json!({ "storage_quota_bytes": null }), json!({ "storage_quota_bytes": null })),
        (json!({ "max_types": 9 }), json!({ "max_types": 9 })),
        (json!({ "max_types": null }), json!({ "max_types": null })),
        (
            json!({ "expires_at": "2127-01-01T00:00:00Z" }),
            json!({ "expires_at": "2127-01-01T00:00:00.000Z" }),
        ),
        (json!({ "expires_at": null }), json!({ "expires_at": null })),
        (
            json!({ "name": "all", "scopes": ["read"], "storage_quota_bytes": 7, "burst": null }),
            json!({ "name": "all", "scopes": ["read"], "storage_quota_bytes": 7, "burst": 5 }),
        ),
    ] {
        super::merge(&mut expected, &shown);
        let reply = service.call("PATCH", &path(&key_id)).json(&change).expect(200).await;
        assert_eq!(reply.json, expected, "{change}");
        assert_eq!(service.get(&path(&key_id)).expect(200).await.json, expected, "{change}");
    }
}

#[tokio::test]
async fn changes_at_once_are_all_applied() {
    let service = Service::start().await;
    // As many environments of the function as changes.
    let environment = service.stack.environment("keys").expect("the function");
    let functions = join_all((0..4).map(|_| Alone::start("keys", environment.clone()))).await;
    for _ in 0..5 {
        let key_id =
            text(&create_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await["key_id"]);
        let changes = [
            json!({ "requests_per_minute": 1_000 }),
            json!({ "burst": 77 }),
            json!({ "name": "n" }),
            json!({ "storage_quota_bytes": 9 }),
        ];
        let calls = functions.iter().zip(&changes).map(async |(function, change)| {
            let request = Request::new("PATCH", &path(&key_id)).body(change.to_string());
            let reply = function.call(&request).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
        });
        join_all(calls).await;
        let key = service.get(&path(&key_id)).expect(200).await;
        // Both changes apply, whichever came first.
        assert_eq!(
            (
                key.at("/requests_per_minute"),
                key.at("/burst"),
                key.at("/name"),
                key.at("/storage_quota_bytes")
            ),
            (&json!(1_000), &json!(77), &json!("n"), &json!(9))
        );
    }
}

#[tokio::test]
async fn a_key_is_revoked_once() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let first = service.call("DELETE", &path(&key_id)).expect(200).await;
    assert!(first.at("/revoked_at").is_string() && first.at("/active") == &json!(false), "{}", first.text);
    let again = service.call("DELETE", &path(&key_id)).expect(200).await;
    assert_eq!(again.json, first.json);
    assert_eq!(service.get(&path(&key_id)).expect(200).await.json, first.json);
    let change = service.call("PATCH", &path(&key_id)).json(&json!({ "expires_at": null }));
    is_problem(&change.send().await, 409, "key_revoked");
    assert_eq!(service.get(&path(&key_id)).expect(200).await.json, first.json);
    // Functions that have not cached the key refuse it at once.
    is_problem(&with_key(&service, &key, "GET", "/v1/jobs").send().await, 401, "unauthenticated");
}

#[tokio::test]
async fn two_revocations_at_once_are_one() {
    let service = Service::start().await;
    for _ in 0..10 {
        let key_id =
            text(&create_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await["key_id"]);
        let calls = (0..4).map(|_| service.call("DELETE", &path(&key_id)).expect(200));
        let replies = join_all(calls).await;
        assert!(replies.iter().all(|reply| reply.json == replies[0].json), "{replies:?}");
        assert_eq!(replies[0].at("/active"), &json!(false));
    }
}

#[tokio::test]
async fn a_change_and_a_revocation_at_once_leave_it_revoked() {
    let service = Service::start().await;
    for _ in 0..10 {
        let key_id =
            text(&create_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await["key_id"]);
        let change = service.call("PATCH", &path(&key_id)).json(&json!({ "burst": 5 })).send();
        let (changed, _) = tokio::join!(change, service.call("DELETE", &path(&key_id)).expect(200));
        if changed.status != 200 {
            is_problem(&changed, 409, "key_revoked");
        }
        let key = service.get(&path(&key_id)).expect(200).await;
        assert!(key.at("/revoked_at").is_string(), "{}", key.text);
        assert_eq!(key.at("/burst"), if changed.status == 200 { 5 } else { 600 });
    }
}

#[tokio::test]
async fn an_admin_key_may_revoke_itself() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "ops", "scopes": ["admin"] })).await;
    let (other, _) = {
        let made = with_key(&service, &key, "POST", "/v1/admin/keys");
        let made = made.json(&json!({ "owner": "b", "scopes": ["read"] })).expect(201).await;
        assert_eq!(made.at("/created_by"), &json!(key_id));
        (text(made.at("/key_id")), text(made.at("/key")))
    };
    with_key(&service, &key, "DELETE", &path(&key_id)).expect(200).await;
    // These functions refuse it at once, too, although they have just read the key.
    for (method, path) in [
        ("GET", "/v1/admin/keys".to_owned()),
        ("GET", path(&other)),
        ("POST", "/v1/admin/keys".to_owned()),
        ("PATCH", path(&other)),
        ("DELETE", path(&other)),
        ("POST", "/v1/admin/recount".to_owned()),
    ] {
        let call = with_key(&service, &key, method, &path);
        let reply = call.json(&json!({ "owner": "ops", "scopes": ["admin"] })).send().await;
        is_problem(&reply, 401, "unauthenticated");
    }
    let shown = service.get(&path(&other)).expect(200).await;
    assert_eq!((shown.at("/active"), shown.at("/scopes")), (&json!(true), &json!(["read"])));
}

/// For the functions that could do lasting harm, the stored key counts, and not the cache.
#[tokio::test]
async fn a_revoked_key_makes_itself_no_successor() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "ops", "scopes": ["admin"] })).await;
    let unmade = "unmade";
    let mut functions = Vec::new();
    for (name, target, body) in [
        ("keys", "/v1/admin/keys", r#"{"owner":"ops","scopes":["admin"]}"#),
        ("recount", "/v1/admin/recount", "{}"),
    ] {
        let function = Alone::start(name, service.stack.environment(name).expect("the function")).await;
        let call = |key: &str| Request::new("POST", target).header("authorization", &format!("Bearer {key}"));
        assert!([201, 202].contains(&function.call(&call(&key).body(body)).await.status));
        // They do not cache that a key is unknown, either.
        assert_eq!(function.call(&call(unmade).body(body)).await.status, 401);
        functions.push((function, call(&key).body(body), call(unmade).body(body)));
    }
    service.call("DELETE", &path(&key_id)).expect(200).await;
    add_key(&service, unmade, "ops", &["admin"], None).await;
    for (function, revoked, made) in functions {
        assert_eq!(function.call(&revoked).await.status, 401);
        let reply = function.call(&made).await;
        assert!([201, 202].contains(&reply.status), "{}", reply.text);
    }
}

#[tokio::test]
async fn a_key_that_is_no_admin_any_more_makes_none() {
    let service = Service::start().await;
    let (key_id, key) = id_and_key(&service, &json!({ "owner": "ops", "scopes": ["admin"] })).await;
    with_key(&service, &key, "GET", "/v1/admin/keys").expect(200).await;
    service.call("PATCH", &path(&key_id)).json(&json!({ "scopes": ["read"] })).expect(200).await;
    let call = with_key(&service, &key, "POST", "/v1/admin/keys");
    is_problem(
        &call.json(&json!({ "owner": "ops", "scopes": ["admin"] })).send().await,
        403,
        "missing_scope",
    );
}
