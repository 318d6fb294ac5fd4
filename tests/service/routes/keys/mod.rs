//! `/v1/admin/keys`: creating, listing, changing and revoking keys; and `create-admin-key`, which creates the first.

mod admin;
mod changes;
mod lasting;
mod refusals;

use std::collections::BTreeSet;

use jobledger::domain::KeyHash;
use jobledger::lambda::system_clock;
use jobledger_tests::dynamo::Dynamo;
use jobledger_tests::keys::{create_key, id_and_key, with_key};
use jobledger_tests::problems::refuses;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

fn path(key_id: &str) -> String {
    format!("/v1/admin/keys/{key_id}")
}

/// The ids of a page.
fn ids(page: &Reply) -> Vec<String> {
    page.at("/keys").as_array().expect("keys").iter().map(|key| text(&key["key_id"])).collect()
}

#[tokio::test]
async fn a_new_key_shows_its_text_once() {
    let service = Service::start().await;
    let before = system_clock();
    let reply =
        service.post("/v1/admin/keys", &json!({ "owner": "acme", "scopes": ["write", "read", "read"] }));
    let reply = reply.expect(201).await;
    let (key_id, key) = (text(reply.at("/key_id")), text(reply.at("/key")));
    let secret = key.strip_prefix("jobledger_").expect("what secret scanners know it by");
    assert!(secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    assert_eq!(KeyHash::of(&key).key_id().as_str(), key_id);
    assert_eq!(reply.header("location"), Some(path(&key_id).as_str()));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let created_at = text(reply.at("/created_at"));
    assert!(created_at >= before.to_string(), "{created_at}");
    let shown = json!({
        "key_id": key_id, "owner": "acme", "name": null, "scopes": ["read", "write"], "requests_per_minute": 6_000,
        "burst": 600, "storage_quota_bytes": null, "max_types": null, "created_at": created_at,
        "created_by": KeyHash::of(jobledger_local::LOCAL_KEY).key_id().as_str(), "expires_at": null,
        "revoked_at": null, "active": true,
    });
    let mut made = reply.json.clone();
    made.as_object_mut().expect("an object").remove("key");
    assert_eq!(made, shown);
    assert_eq!(service.get(&path(&key_id)).expect(200).await.json, shown);
    let page = service.get("/v1/admin/keys?owner=acme").expect(200).await;
    assert_eq!(page.json, json!({ "keys": [shown], "has_more": false, "next_cursor": null }));
    with_key(&service, &key, "GET", "/v1/jobs").expect(200).await;

    let other = create_key(&service, &json!({ "owner": "acme", "scopes": ["read", "write"] })).await;
    assert!(other["key"] != json!(key) && other["key_id"] != json!(key_id), "each has a text of its own");
}

#[tokio::test]
async fn every_field_is_accepted_at_its_limits() {
    let service = Service::start().await;
    let longest = "a".repeat(64);
    for (body, shown) in [
        (json!({ "requests_per_minute": 1 }), json!({ "requests_per_minute": 1, "burst": 1 })),
        (json!({ "requests_per_minute": 1, "burst": 1_440 }), json!({ "burst": 1_440 })),
        (
            json!({ "requests_per_minute": 1_000_000, "burst": 1_000_000 }),
            json!({ "requests_per_minute": 1_000_000, "burst": 1_000_000 }),
        ),
        (json!({ "burst": 1 }), json!({ "requests_per_minute": 6_000, "burst": 1 })),
        (json!({ "requests_per_minute": null }), json!({ "requests_per_minute": null, "burst": null })),
        (json!({ "burst": null }), json!({ "requests_per_minute": 6_000, "burst": 600 })),
        (json!({ "requests_per_minute": 90_000 }), json!({ "requests_per_minute": 90_000, "burst": 1_500 })),
        (json!({ "storage_quota_bytes": 0 }), json!({ "storage_quota_bytes": 0 })),
        (
            json!({ "storage_quota_bytes": 9_007_199_254_740_992_i64 }),
            json!({ "storage_quota_bytes": 9_007_199_254_740_992_i64 }),
        ),
        (json!({ "storage_quota_bytes": null }), json!({ "storage_quota_bytes": null })),
        (json!({ "max_types": 10_000 }), json!({ "max_types": 10_000 })),
        (json!({ "max_types": null }), json!({ "max_types": null })),
        (json!({ "name": "ü".repeat(200) }), json!({ "name": "ü".repeat(200) })),
        (json!({ "name": null }), json!({ "name": null })),
        (json!({ "expires_at": null }), json!({ "expires_at": null })),
        (
            json!({ "expires_at": "9999-12-31T23:59:59.999Z" }),
            json!({ "expires_at": "9999-12-31T23:59:59.999Z", "active": true }),
        ),
        (
            json!({ "expires_at": "2126-01-01T02:00:00+02:00" }),
            json!({ "expires_at": "2126-01-01T00:00:00.000Z" }),
        ),
        (
            json!({ "scopes": ["admin", "work", "write", "read"] }),
            json!({ "scopes": ["read", "write", "work", "admin"] }),
        ),
        (json!({ "scopes": vec!["work"; 16] }), json!({ "scopes": ["work"] })),
        (json!({ "owner": longest }), json!({ "owner": longest })),
    ] {
        let mut said = json!({ "owner": "a", "scopes": ["read"] });
        merge(&mut said, &body);
        let made = create_key(&service, &said).await;
        let kept = service.get(&path(&text(&made["key_id"]))).expect(200).await.json;
        for (name, value) in shown.as_object().expect("fields") {
            assert_eq!((&made[name], &kept[name]), (value, value), "{body}");
        }
    }
}

/// Sets these fields, and keeps the others.
fn merge(value: &mut Value, more: &Value) {
    for (name, more) in more.as_object().expect("an object") {
        value[name] = more.clone();
    }
}

#[tokio::test]
async fn lists_have_pages_and_show_ended_keys() {
    let service = Service::start().await;
    let mut all = BTreeSet::from([KeyHash::of(jobledger_local::LOCAL_KEY).key_id().to_string()]);
    let mut of_a = BTreeSet::new();
    for number in 0..9 {
        let owner = if number % 3 == 0 { "a" } else { "b" };
        let key_id =
            text(&create_key(&service, &json!({ "owner": owner, "scopes": ["read"] })).await["key_id"]);
        if owner == "a" {
            of_a.insert(key_id.clone());
        }
        all.insert(key_id);
    }
    let revoked = of_a.first().expect("a key").clone();
    service.call("DELETE", &path(&revoked)).expect(200).await;
    for (filter, expected) in [("", &all), ("owner=a&", &of_a)] {
        for limit in [1, 2, 3, 9, 10, 100] {
            let (mut found, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
            loop {
                let page = service.get(&format!("/v1/admin/keys?{filter}limit={limit}{cursor}"));
                let page = page.expect(200).await;
                found.extend(ids(&page));
                pages += 1;
                assert_eq!(page.at("/has_more"), &json!(page.at("/next_cursor").is_string()));
                let Some(next) = page.at("/next_cursor").as_str() else { break };
                assert!(ids(&page).len() == limit, "a page that is not the last is full: {}", page.text);
                cursor = format!("&cursor={next}");
            }
            assert!(found.iter().eq(expected.iter()), "in order, each once: {found:?}");
            assert_eq!(pages, expected.len().div_ceil(limit), "{filter} {limit}");
        }
    }
    let page = service.get("/v1/admin/keys?owner=a").expect(200).await;
    let shown = page.at("/keys").as_array().expect("keys").iter().find(|key| key["key_id"] == json!(revoked));
    let shown = shown.expect("a revoked key is shown");
    assert!(shown["revoked_at"].is_string() && shown["active"] == json!(false), "{shown}");
    let nobody = service.get("/v1/admin/keys?owner=nobody").expect(200).await;
    assert_eq!(nobody.json, json!({ "keys": [], "has_more": false, "next_cursor": null }));
}

#[tokio::test]
async fn a_cursor_belongs_to_the_list_that_gave_it() {
    let service = Service::start().await;
    for _ in 0..2 {
        create_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    }
    let mut cursors = Vec::new();
    let lists = ["", "&owner=a", "&owner=b"];
    for list in &lists[..2] {
        let page = service.get(&format!("/v1/admin/keys?limit=1{list}")).expect(200).await;
        let cursor = text(page.at("/next_cursor"));
        assert!(!cursor.contains(&ids(&page)[0]), "it says nothing to callers: {cursor}");
        cursors.push((*list, cursor));
    }
    for (given, cursor) in &cursors {
        for list in lists {
            let call = service.get(&format!("/v1/admin/keys?limit=2&cursor={cursor}{list}"));
            if list == *given {
                call.expect(200).await;
            } else {
                refuses(&call.send().await, 422, "invalid_query", &["cursor"]);
            }
        }
    }
    // A cursor of a list of jobs is not valid for keys.
    for _ in 0..2 {
        service.post("/v1/jobs", &json!({ "type": "a" })).expect(201).await;
    }
    let jobs = service.get("/v1/jobs?limit=1").expect(200).await;
    for cursor in
        [text(jobs.at("/next_cursor")), ids(&service.get("/v1/admin/keys").expect(200).await)[0].clone()]
    {
        let reply = service.get(&format!("/v1/admin/keys?cursor={cursor}")).send().await;
        refuses(&reply, 422, "invalid_query", &["cursor"]);
    }
}

#[tokio::test]
async fn no_table_and_no_other_answer_holds_a_keys_text() {
    let service = Service::start().await;
    let body =
        json!({ "owner": "a", "scopes": ["read", "write"], "name": "nightly", "storage_quota_bytes": 1 });
    let (key_id, key) = id_and_key(&service, &body).await;
    let (secret, hash) = (key.trim_start_matches("jobledger_"), KeyHash::of(&key));
    for call in [
        with_key(&service, &key, "GET", "/v1/jobs"),
        with_key(&service, &key, "POST", "/v1/jobs").json(&json!({ "type": "a" })),
        with_key(&service, &key, "GET", "/v1/admin/keys"),
        with_key(&service, &key, "GET", &format!("/v1/jobs/{key}")),
        with_key(&service, &key, "GET", "/v1/usage"),
        service.get(&path(&key_id)),
        service.get("/v1/admin/keys"),
        service.call("PATCH", &path(&key_id)).json(&json!({ "name": "weekly" })),
        service.call("DELETE", &path(&key_id)),
        service.call("DELETE", &path(&key_id)),
        service.call("PATCH", &path(&key_id)).json(&json!({ "name": "hourly" })),
        with_key(&service, &key, "GET", "/v1/jobs"),
    ] {
        let reply = call.send().await;
        let all = format!("{} {:?}", reply.text, reply.headers);
        assert!(!all.contains(secret) && !all.contains(hash.as_str()), "{all}");
    }
    service.settled().await;
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let mut kept = 0;
    for table in &service.stack.template().tables {
        for item in dynamo.scan(&table.name).await {
            let item = json!(item).to_string();
            assert!(!item.contains(secret), "{}: {item}", table.name);
            kept += usize::from(item.contains(hash.as_str()));
        }
    }
    assert_eq!(kept, 1, "its hash is kept, once");
}

#[tokio::test]
async fn lists_refuse_unknown_parameters() {
    let service = Service::start().await;
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=101", vec!["limit"]),
        ("limit=x", vec!["limit"]),
        ("limit=-1", vec!["limit"]),
        ("limit=1&limit=2", vec!["limit"]),
        ("cursor=", vec!["cursor"]),
        ("cursor=ABCDEF0123456789", vec!["cursor"]),
        ("owner=", vec!["owner"]),
        ("owner=a%20b", vec!["owner"]),
        ("colour=red&limit=1000&cursor=1", vec!["colour", "cursor", "limit"]),
    ] {
        let reply = service.get(&format!("/v1/admin/keys?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &fields);
    }
}
