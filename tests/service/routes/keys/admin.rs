//! `create-admin-key`, which creates the first key of a deployment. The test calls it like `aws lambda invoke`.

use jobledger::domain::KeyHash;
use jobledger_tests::alone::Alone;
use jobledger_tests::dynamo::{Dynamo, text as attribute};
use jobledger_tests::keys::{id_and_key, with_key};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

use super::{ids, path};

async fn function(service: &Service) -> Alone {
    let environment = service.stack.environment("create-admin-key").expect("the function");
    Alone::start("create-admin-key", environment).await
}

#[tokio::test]
async fn the_first_key_makes_all_others() {
    let service = Service::start().await;
    // As in a new deployment: there is no key.
    let settings = service.stack.environment("get-job").expect("the function").vars["SETTINGS_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    for item in dynamo.scan(&settings).await {
        let key = json!({ "kind": item["kind"], "id": item["id"] });
        dynamo.call("DeleteItem", &json!({ "TableName": settings, "Key": key })).await;
    }
    assert_eq!(service.get("/v1/jobs").send().await.status, 401);

    let made = function(&service).await.invoke(&json!({ "owner": "ops" })).await.expect("a key");
    let (key_id, key) = (text(&made["key_id"]), text(&made["key"]));
    assert_eq!(KeyHash::of(&key).key_id().as_str(), key_id);
    assert_eq!(made, json!({ "key_id": key_id, "owner": "ops", "scopes": ["admin"], "key": key }));
    assert!(key.starts_with("jobledger_") && key.len() == 74, "{key}");
    let item = dynamo.scan(&settings).await.pop().expect("an item");
    assert_eq!(attribute(&item, "hash"), KeyHash::of(&key).as_str());
    assert!(!json!(item).to_string().contains(&key), "{item:?}");

    let shown = with_key(&service, &key, "GET", &path(&key_id)).expect(200).await;
    for (name, value) in [
        ("/owner", json!("ops")),
        ("/scopes", json!(["admin"])),
        ("/requests_per_minute", Value::Null),
        ("/expires_at", Value::Null),
        ("/created_by", Value::Null),
        ("/active", json!(true)),
    ] {
        assert_eq!(shown.at(name), &value, "{name}");
    }
    let other = with_key(&service, &key, "POST", "/v1/admin/keys");
    let other = other.json(&json!({ "owner": "acme", "scopes": ["read"] })).expect(201).await;
    with_key(&service, &text(other.at("/key")), "GET", "/v1/jobs").expect(200).await;
}

#[tokio::test]
async fn another_admin_key_can_be_created_after_the_last_one_ended() {
    let service = Service::start().await;
    let local = KeyHash::of(jobledger_local::LOCAL_KEY).key_id();
    let (last_id, last) = id_and_key(&service, &json!({ "owner": "ops", "scopes": ["admin"] })).await;
    service.call("DELETE", &path(local.as_str())).expect(200).await;
    with_key(&service, &last, "DELETE", &path(&last_id)).expect(200).await;
    let function = function(&service).await;
    let mut made = Vec::new();
    for _ in 0..2 {
        made.push(function.invoke(&json!({ "owner": "ops" })).await.expect("a key"));
    }
    assert_ne!(made[0]["key"], made[1]["key"], "each call makes one");
    let page =
        with_key(&service, &text(&made[0]["key"]), "GET", "/v1/admin/keys?owner=ops").expect(200).await;
    let mut expected = vec![last_id, text(&made[0]["key_id"]), text(&made[1]["key_id"])];
    expected.sort();
    assert_eq!(ids(&page), expected);
}

#[tokio::test]
async fn only_the_name_of_an_owner_is_taken() {
    let service = Service::start().await;
    let function = function(&service).await;
    for bad in [
        json!({}),
        json!(null),
        json!("ops"),
        json!([]),
        json!({ "owner": null }),
        json!({ "owner": 1 }),
        json!({ "owner": "" }),
        json!({ "owner": "a b" }),
        json!({ "owner": "a#b" }),
        json!({ "owner": "*" }),
        json!({ "owner": "jobledger" }),
        json!({ "owner": "a".repeat(65) }),
        json!({ "owner": "ops", "scopes": ["read"] }),
        json!({ "owner": "ops", "key": "mine" }),
        json!({ "Records": [] }),
    ] {
        let error = function.invoke(&bad).await.expect_err("no key");
        assert!(error.contains("owner"), "{bad}: {error}");
    }
    assert_eq!(ids(&service.get("/v1/admin/keys").expect(200).await).len(), 1, "only the local key is there");
}
