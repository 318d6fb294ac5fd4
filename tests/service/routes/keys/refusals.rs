//! Keys that are not created or changed, field by field; and paths without a key.

use jobledger_tests::keys::create_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

use super::{ids, merge, path};

/// Invalid values of fields, and the names in their errors.
fn wrong_values() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let mut all = Vec::new();
    for bad in
        [json!(1), json!(true), json!([]), json!({}), json!(""), json!(" a"), json!("a b"), json!("a#b")]
    {
        all.push(("owner", bad, vec!["owner"]));
    }
    for bad in
        [json!("*"), json!("ä"), json!("-a"), json!("a".repeat(65)), json!("a\u{0}b"), json!("jobledger")]
    {
        all.push(("owner", bad, vec!["owner"]));
    }
    all.extend(wrong_changes());
    all
}

/// The same, for fields that can be changed.
fn wrong_changes() -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let mut all = Vec::new();
    for bad in [json!(null), json!("read"), json!({}), json!([]), json!(1), json!(vec!["read"; 17])] {
        all.push(("scopes", bad, vec!["scopes"]));
    }
    for bad in [
        json!([1]),
        json!([null]),
        json!(["root"]),
        json!(["Read"]),
        json!(["read "]),
        json!([""]),
        json!([[]]),
    ] {
        all.push(("scopes", bad, vec!["scopes[0]"]));
    }
    all.push(("scopes", json!(["read", "x", "work", 7]), vec!["scopes[1]", "scopes[3]"]));
    for bad in [json!(1), json!([]), json!(""), json!(" "), json!("a\nb"), json!("a".repeat(201))] {
        all.push(("name", bad, vec!["name"]));
    }
    for name in ["requests_per_minute", "burst"] {
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("60"),
            json!(1_000_001),
            json!(true),
            json!([]),
            json!({}),
        ] {
            all.push((name, bad, vec![name]));
        }
    }
    for bad in
        [json!(-1), json!(0.5), json!("1"), json!(9_007_199_254_740_993_i64), json!(u64::MAX), json!({})]
    {
        all.push(("storage_quota_bytes", bad, vec!["storage_quota_bytes"]));
    }
    for bad in [json!(0), json!(10_001), json!("1"), json!(0.5)] {
        all.push(("max_types", bad, vec!["max_types"]));
    }
    for bad in [
        json!(0),
        json!("tomorrow"),
        json!("2126-13-01T00:00:00Z"),
        json!("2126-01-01"),
        json!("2020-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00Z"),
        json!(""),
        json!([]),
    ] {
        all.push(("expires_at", bad, vec!["expires_at"]));
    }
    for name in ["key", "key_id", "hash", "created_at", "created_by", "revoked_at", "active", "colour"] {
        all.push((name, json!("x"), vec![name]));
    }
    all
}

#[tokio::test]
async fn invalid_fields_of_a_new_key_are_refused() {
    let service = Service::start().await;
    let good = json!({ "owner": "a", "scopes": ["read"] });
    for (name, value, fields) in wrong_values() {
        let mut body = good.clone();
        body[name] = value;
        refuses(&service.post("/v1/admin/keys", &body).send().await, 400, "invalid_body", &fields);
    }
    for (body, fields) in [
        (json!({}), vec!["owner", "scopes"]),
        (json!({ "owner": null, "scopes": null }), vec!["owner", "scopes"]),
        (json!({ "requests_per_minute": null, "burst": 5 }), vec!["burst", "owner", "scopes"]),
        (
            json!({ "owner": "a", "scopes": ["read"], "requests_per_minute": 1, "burst": 1_441 }),
            vec!["burst"],
        ),
        (json!({ "owner": "a", "scopes": ["read"], "burst": 6_000_000 }), vec!["burst"]),
        (
            json!({ "owner": "", "scopes": ["root"], "name": "", "requests_per_minute": 0, "burst": 0, "x": 1,
                "storage_quota_bytes": -1, "expires_at": "" }),
            vec![
                "burst",
                "expires_at",
                "name",
                "owner",
                "requests_per_minute",
                "scopes[0]",
                "storage_quota_bytes",
                "x",
            ],
        ),
    ] {
        refuses(&service.post("/v1/admin/keys", &body).send().await, 400, "invalid_body", &fields);
    }
    for body in ["", "[]", "{", "null", "\"a\"", "\u{feff}[]"] {
        let reply = service.call("POST", "/v1/admin/keys").body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
    let twice = r#"{"owner":"a","owner":"b","scopes":["read"]}"#;
    let reply = service.call("POST", "/v1/admin/keys").body(twice).send().await;
    refuses(&reply, 400, "invalid_body", &["owner"]);
    let large = format!("{{\"owner\":\"a\",\"scopes\":[\"read\"]{}}}", " ".repeat(16 * 1024));
    let reply = service.call("POST", "/v1/admin/keys").body(large).send().await;
    is_problem(&reply, 413, "too_large");
    for (query, field) in [("owner=b", "owner"), ("owner=default", "owner"), ("limit=1", "limit")] {
        let reply = service.post(&format!("/v1/admin/keys?{query}"), &good).send().await;
        refuses(&reply, 422, "invalid_query", &[field]);
    }
    assert_eq!(ids(&service.get("/v1/admin/keys").expect(200).await).len(), 1, "only the local key is there");
}

#[tokio::test]
async fn invalid_changes_of_a_key_are_refused() {
    let service = Service::start().await;
    let made = create_key(&service, &json!({ "owner": "a", "scopes": ["read"] })).await;
    let path = path(&text(&made["key_id"]));
    let before = service.get(&path).expect(200).await.json;
    let refused = async |body: &Value, fields: &[&str]| {
        let reply = service.call("PATCH", &path).json(body).send().await;
        refuses(&reply, 400, "invalid_body", fields);
    };
    for (name, value, fields) in wrong_changes() {
        // Beside a change that would do.
        let mut body = json!({ "name": "other" });
        body[name] = value;
        refused(&body, &fields).await;
    }
    refused(&json!({}), &["body"]).await;
    refused(&json!({ "owner": "b", "name": "other" }), &["owner"]).await;
    refused(&json!({ "requests_per_minute": null, "burst": 5 }), &["burst"]).await;
    refused(&json!({ "requests_per_minute": 1, "burst": 1_441 }), &["burst"]).await;
    for body in ["", "[]", "{"] {
        is_problem(&service.call("PATCH", &path).body(body).send().await, 400, "invalid_json");
    }
    assert_eq!(service.get(&path).expect(200).await.json, before);
}

#[tokio::test]
async fn a_burst_is_held_against_the_rate_that_the_key_has() {
    let service = Service::start().await;
    let mut body = json!({ "owner": "a", "scopes": ["read"] });
    merge(&mut body, &json!({ "requests_per_minute": 10, "burst": 14_400 }));
    let path = path(&text(&create_key(&service, &body).await["key_id"]));
    for body in [json!({ "burst": 14_401 }), json!({ "requests_per_minute": 9 })] {
        let reply = service.call("PATCH", &path).json(&body).send().await;
        refuses(&reply, 400, "invalid_body", &["burst"]);
    }
    let reply = service.call("PATCH", &path).json(&json!({ "requests_per_minute": null }));
    let reply = reply.expect(200).await;
    assert_eq!((reply.at("/requests_per_minute"), reply.at("/burst")), (&json!(null), &json!(null)));
    let reply = service.call("PATCH", &path).json(&json!({ "burst": 5 })).send().await;
    refuses(&reply, 400, "invalid_body", &["burst"]);
}

#[tokio::test]
async fn an_invalid_key_id_returns_404() {
    let service = Service::start().await;
    let long = "a".repeat(10_000);
    for bad in [
        "0",
        "0123456789abcde",
        "0123456789abcdef0",
        "0123456789ABCDEF",
        "0123456789abcdeg",
        "0123456789abcde%20",
        "0123456789abcd%00",
        "%F0%9F%94%91",
        "%C3%A9123456789abcd",
        "0123456789abcdef%2F",
        "01981b5e-7c3a-7000-8000-000000000001",
        "local-dev-key",
        "*",
        long.as_str(),
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            let reply = service.call(method, &path(bad)).body("{\"name\":\"x\"}").send().await;
            refuses(&reply, 422, "invalid_query", &["key_id"]);
        }
    }
    for method in ["GET", "PATCH", "DELETE"] {
        let call = |path: &str| service.call(method, path).body("{\"name\":\"x\"}");
        is_problem(&call(&path("0123456789abcdef")).send().await, 404, "key_not_found");
        for (query, field) in [("owner=default", "owner"), ("x=1", "x")] {
            let reply = call(&format!("{}?{query}", path("0123456789abcdef"))).send().await;
            refuses(&reply, 422, "invalid_query", &[field]);
        }
        let reply = call(&format!("{}?x=1&owner=a", path("0"))).send().await;
        refuses(&reply, 422, "invalid_query", &["key_id", "owner", "x"]);
    }
}
