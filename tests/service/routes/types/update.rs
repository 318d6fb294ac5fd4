//! `PATCH /v1/types/{type}`.

use jobledger_tests::Service;
use jobledger_tests::at_once::each_of;
use jobledger_tests::claims::{claim_of, create_and_claim, slots};
use jobledger_tests::jobs::create;
use jobledger_tests::problems::{is_problem, refuses};
use serde_json::{Value, json};

use super::{defaults, get, put};

async fn patch(service: &Service, kind: &str, body: &Value) -> Value {
    service.call("PATCH", &format!("/v1/types/{kind}")).json(body).expect(200).await.json
}

#[tokio::test]
async fn only_the_settings_that_are_named_change() {
    let service = Service::shared().await;
    let body = json!({
        "max_concurrency": 3, "timeout_seconds": 60, "max_attempts": 2, "backoff_seconds": 0,
        "stages": [{ "name": "fetch", "weight": 1 }], "mode": "immediate",
    });
    put(&service, "a", &body).await;
    let mut expect = get(&service, "a").await;
    for (change, value) in [
        (json!({ "max_concurrency": 5 }), json!(5)),
        (json!({ "timeout_seconds": null }), Value::Null),
        (json!({ "max_attempts": 9 }), json!(9)),
        (json!({ "backoff_seconds": null }), json!(10)),
        (json!({ "stages": null }), json!([])),
        (json!({ "stages": [{ "name": "a", "weight": 2 }] }), json!([{ "name": "a", "weight": 2 }])),
        (json!({ "mode": "queued" }), json!("queued")),
        (json!({ "max_attempts": null }), Value::Null),
    ] {
        let changed = patch(&service, "a", &change).await;
        let name = change.as_object().and_then(|fields| fields.keys().next()).expect("a field");
        expect[name] = value;
        expect["updated_at"] = changed["updated_at"].clone();
        assert_eq!(changed, expect, "{change}");
        assert_eq!(get(&service, "a").await, expect, "{change}");
    }
    // A type that has no settings has the defaults in the other places.
    let mut expect = defaults("b");
    let changed = patch(&service, "b", &json!({ "max_attempts": 4, "mode": null })).await;
    expect["max_attempts"] = json!(4);
    expect["updated_at"] = changed["updated_at"].clone();
    assert_eq!(changed, expect);
}

#[tokio::test]
async fn a_limit_that_is_changed_so_holds() {
    let service = Service::start().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    for _ in 0..3 {
        create(&service, &json!({ "type": "a" })).await;
    }
    patch(&service, "a", &json!({ "max_concurrency": 2 })).await;
    assert_eq!((claim_of(&service, "a", 10).await.len(), slots(&service, "a").await), (1, json!(2)));
    patch(&service, "a", &json!({ "max_attempts": 5 })).await;
    assert!(claim_of(&service, "a", 10).await.is_empty());
    held.tell(&service, &json!({ "status": "completed" })).await;
    patch(&service, "a", &json!({ "max_concurrency": null })).await;
    assert_eq!(claim_of(&service, "a", 10).await.len(), 2);
}

#[tokio::test]
async fn changes_of_other_settings_at_once_are_all_kept() {
    let service = Service::shared().await;
    let service = &service;
    for kind in ["new", "known"] {
        if kind == "known" {
            put(service, kind, &json!({ "backoff_seconds": 1 })).await;
        }
        let changes = [
            json!({ "max_attempts": 7 }),
            json!({ "timeout_seconds": 8 }),
            json!({ "mode": "immediate" }),
            json!({ "stages": [{ "name": "s", "weight": 1 }] }),
        ];
        each_of(changes.clone(), async |change| {
            patch(service, kind, &change).await;
        })
        .await;
        let after = get(service, kind).await;
        for change in changes {
            let (name, value) = change.as_object().and_then(|fields| fields.iter().next()).expect("a field");
            assert_eq!(&after[name], value, "{kind} {name}");
        }
    }
}

#[tokio::test]
async fn what_cannot_change_is_refused() {
    let service = Service::shared().await;
    for (body, fields) in [
        (json!({ "max_concurrency": 0, "colour": "red" }), vec!["max_concurrency", "colour"]),
        (json!({ "running": 1, "paused_at": "2026-01-01T00:00:00Z" }), vec!["running", "paused_at"]),
        (json!({ "updated_at": "2026-01-01T00:00:00Z", "max_attempts": 2 }), vec!["updated_at"]),
        (json!({ "type": "a", "mode": "later" }), vec!["mode", "type"]),
        (json!({ "stages": [{ "name": "a", "weight": 0 }] }), vec!["stages[0].weight"]),
    ] {
        let reply = service.call("PATCH", "/v1/types/a").json(&body).send().await;
        refuses(&reply, 400, "invalid_body", &fields);
    }
    for body in ["", "[]", "{}", r#"{"paused_at":null}"#] {
        let reply = service.call("PATCH", "/v1/types/a").body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
    is_problem(&service.call("PATCH", "/v1/types/a").body(" ".repeat(65_537)).send().await, 413, "too_large");
    assert_eq!(get(&service, "a").await, defaults("a"));
}
