//! `/v1/types`: here `PUT` and `GET` of one type.

mod list;
mod pause;
mod update;

use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::types::AttributeValue;
use jobledger::domain::{Owner, Timestamp, TypeName};
use jobledger::lambda::system_clock;
use jobledger::store::type_item::{get_type, type_id, type_of_item};
use jobledger::store::{StoredType, Written};
use jobledger_tests::at_once::each_of;
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::tables;
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

#[track_caller]
fn put(service: &Service, kind: &str, body: &Value) -> impl Future<Output = Reply> {
    service.call("PUT", &format!("/v1/types/{kind}")).json(body).expect(200)
}

async fn get(service: &Service, kind: &str) -> Value {
    service.get(&format!("/v1/types/{kind}")).expect(200).await.json
}

/// The stored settings of a type.
async fn stored(service: &Service, kind: &str) -> StoredType {
    let (store, config) = tables(service).await;
    let (owner, kind) =
        (Owner::try_from("default").expect("a name"), TypeName::try_from(kind).expect("a name"));
    let item = store.get(get_type(&config.tables, &owner, &kind)).await.expect("an answer").expect("an item");
    let (named, stored) = type_of_item(item).expect("a type");
    assert_eq!(named, kind);
    stored
}

/// Takes slots, as claims do.
async fn take_slots(service: &Service, kind: &str, running: u32) {
    let (store, config) = tables(service).await;
    let (owner, kind) =
        (Owner::try_from("default").expect("a name"), TypeName::try_from(kind).expect("a name"));
    let plan = UpdateItemInput::builder()
        .table_name(&config.tables.settings)
        .key("kind", AttributeValue::S("types".to_owned()))
        .key("id", AttributeValue::S(type_id(&owner, &kind)))
        .update_expression("SET running = :running")
        .expression_attribute_values(":running", AttributeValue::N(running.to_string()));
    assert_eq!(store.update(plan).await.expect("an answer"), Written::Done(None));
}

fn defaults(kind: &str) -> Value {
    json!({
        "type": kind, "max_concurrency": null, "timeout_seconds": null, "max_attempts": null, "backoff_seconds": 10,
        "stages": [], "mode": "queued", "running": null, "paused_at": null, "updated_at": null,
    })
}

#[tokio::test]
async fn a_type_without_settings_has_the_defaults() {
    let service = Service::shared().await;
    assert_eq!(get(&service, "render").await, defaults("render"));
    assert_eq!(get(&service, "A-1_b:c.d").await, defaults("A-1_b:c.d"));
}

#[tokio::test]
async fn settings_are_returned_as_they_were_put() {
    let service = Service::start().await;
    let body = json!({
        "max_concurrency": 3, "timeout_seconds": 604_800, "max_attempts": 100, "backoff_seconds": 0,
        "stages": [{ "name": "fetch a file", "weight": 1 }, { "name": "é#", "weight": 1_000_000 }],
        "mode": "immediate",
    });
    let reply = put(&service, "render", &body).await;
    let mut expect = body.clone();
    expect["type"] = json!("render");
    expect["running"] = json!(0);
    expect["paused_at"] = Value::Null;
    expect["updated_at"] = reply.at("/updated_at").clone();
    assert_eq!(reply.json, expect);
    let updated_at = Timestamp::parse(reply.at("/updated_at").as_str().expect("a time")).expect("a time");
    assert!(system_clock().since(updated_at) < 60_000);
    assert_eq!(get(&service, "render").await, expect);
    // Another type and another owner have their own settings.
    assert_eq!(get(&service, "Render").await, defaults("Render"));
    assert_eq!(service.get("/v1/types/render?owner=other").expect(200).await.json, defaults("render"));

    // A setting that is missing or null goes back to its default.
    let reply = put(&service, "render", &json!({ "max_attempts": 2, "mode": null })).await;
    let mut expect = defaults("render");
    expect["max_attempts"] = json!(2);
    expect["updated_at"] = reply.at("/updated_at").clone();
    assert_eq!(reply.json, expect);
    assert_eq!(get(&service, "render").await, expect);
    let reply = put(&service, "render", &json!({})).await;
    let mut expect = defaults("render");
    expect["updated_at"] = reply.at("/updated_at").clone();
    assert_eq!(reply.json, expect);
}

#[tokio::test]
async fn as_many_stages_as_there_may_be_are_kept() {
    let service = Service::shared().await;
    let stage =
        |number: usize| json!({ "name": format!("{number:02}{}", "ä".repeat(198)), "weight": number + 1 });
    let stages: Vec<Value> = (0..50).map(stage).collect();
    let reply = put(&service, "a", &json!({ "stages": stages })).await;
    assert_eq!(reply.at("/stages"), &json!(stages));
    assert_eq!(get(&service, "a").await["stages"], json!(stages));
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::shared().await;
    let stages = |count: usize| -> Vec<Value> {
        (0..count).map(|number| json!({ "name": number.to_string(), "weight": 1 })).collect()
    };
    for (body, fields) in [
        (json!({ "max_concurrency": 0 }), vec!["max_concurrency"]),
        (json!({ "max_concurrency": 10_001, "colour": "red" }), vec!["max_concurrency", "colour"]),
        (
            json!({ "max_concurrency": 1.5, "timeout_seconds": "1" }),
            vec!["max_concurrency", "timeout_seconds"],
        ),
        (json!({ "timeout_seconds": 604_801, "max_attempts": 0 }), vec!["timeout_seconds", "max_attempts"]),
        (json!({ "max_attempts": 101, "backoff_seconds": -1 }), vec!["max_attempts", "backoff_seconds"]),
        (json!({ "backoff_seconds": 3_601, "mode": "later" }), vec!["backoff_seconds", "mode"]),
        (json!({ "mode": true, "runs": 1 }), vec!["mode", "runs"]),
        (json!({ "type": "b", "created_at": "2026-01-01T00:00:00Z" }), vec!["type", "created_at"]),
        (json!({ "type": 1 }), vec!["type"]),
        (json!({ "stages": {} }), vec!["stages"]),
        (json!({ "stages": stages(51) }), vec!["stages"]),
        (json!({ "stages": [{ "name": "a", "weight": 1 }, { "name": "a", "weight": 2 }] }), vec!["stages"]),
        (json!({ "stages": ["a", null, []] }), vec!["stages[0]", "stages[1]", "stages[2]"]),
        (json!({ "stages": [{ "name": "a", "weight": 1 }, {}] }), vec!["stages[1].name", "stages[1].weight"]),
        (
            json!({ "stages": [{ "name": " ", "weight": 0, "x": 1 }] }),
            vec!["stages[0].name", "stages[0].weight", "stages[0].x"],
        ),
        (json!({ "stages": [{ "name": "a", "weight": 1_000_001 }] }), vec!["stages[0].weight"]),
    ] {
        let reply = service.call("PUT", "/v1/types/a").json(&body).send().await;
        refuses(&reply, 400, "invalid_body", &fields);
    }
    for body in ["", "[]", "{", "null"] {
        let reply = service.call("PUT", "/v1/types/a").body(body).send().await;
        is_problem(&reply, 400, "invalid_json");
    }
    is_problem(&service.call("PUT", "/v1/types/a").body(" ".repeat(65_537)).send().await, 413, "too_large");
    // Nothing of the refused put was stored.
    assert_eq!(get(&service, "a").await, defaults("a"));
}

#[tokio::test]
async fn the_path_names_a_callers_type() {
    let service = Service::shared().await;
    let long = "x".repeat(65);
    for bad in ["bulk", "recount", "a%20b", "a%23b", "-a", "%C3%A4", "%ff", long.as_str()] {
        for (method, after) in
            [("GET", ""), ("PUT", ""), ("PATCH", ""), ("POST", "/pause"), ("POST", "/resume")]
        {
            let path = format!("/v1/types/{bad}{after}?colour=red");
            let reply = service.call(method, &path).body("{}").send().await;
            refuses(&reply, 422, "invalid_query", &["type", "colour"]);
        }
    }
}

#[tokio::test]
async fn reading_and_writing_require_two_scopes() {
    let service = Service::start().await;
    for scope in ["read", "write", "work"] {
        add_key(&service, scope, "default", &[scope], None).await;
    }
    for (method, after, key, status) in [
        ("GET", "", "read", 200),
        ("GET", "", "write", 403),
        ("GET", "", "work", 403),
        ("PUT", "", "write", 200),
        ("PUT", "", "read", 403),
        ("PUT", "", "work", 403),
        ("PATCH", "", "write", 200),
        ("PATCH", "", "work", 403),
        ("POST", "/pause", "write", 200),
        ("POST", "/pause", "work", 403),
        ("POST", "/resume", "write", 200),
        ("POST", "/resume", "read", 403),
    ] {
        let path = format!("/v1/types/a{after}");
        let call = service.anonymous(method, &path).header("x-api-key", key).body(r#"{"max_attempts":1}"#);
        let reply = call.send().await;
        assert_eq!(reply.status, status, "{method} {key}: {}", reply.text);
        if status == 403 {
            is_problem(&reply, 403, "missing_scope");
        }
    }
}

#[tokio::test]
async fn a_first_limit_holds_at_once_if_no_job_runs() {
    let service = Service::start().await;
    // Jobs of another type or owner do not matter, and jobs that ended do not, either.
    create(&service, &json!({ "type": "b" })).await;
    service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let ended = create(&service, &json!({ "type": "a" })).await;
    service.call("POST", &format!("/v1/jobs/{ended}/cancel")).expect(200).await;
    put(&service, "a", &json!({ "max_attempts": 3 })).await;
    let before = stored(&service, "a").await;
    assert_eq!((before.opens_at, before.adopted, before.settings.max_concurrency), (None, false, None));
    put(&service, "a", &json!({ "max_concurrency": 3 })).await;
    let first = stored(&service, "a").await;
    assert_eq!((first.opens_at, first.adopted, first.running), (None, true, 0));
    // Another limit, or the same one again, neither opens nor closes the type.
    create(&service, &json!({ "type": "a" })).await;
    for limit in [1, 1, 10_000] {
        put(&service, "a", &json!({ "max_concurrency": limit })).await;
        let now = stored(&service, "a").await;
        assert_eq!((now.opens_at, now.adopted, now.settings.max_concurrency), (None, true, Some(limit)));
    }
    // Without a limit, no claim counts slots. The next limit is a first one again.
    put(&service, "a", &json!({})).await;
    let without = stored(&service, "a").await;
    assert_eq!((without.opens_at, without.adopted), (None, false));
    put(&service, "a", &json!({ "max_concurrency": 1 })).await;
    assert!(stored(&service, "a").await.opens_at.is_some());
}

#[tokio::test]
async fn after_a_first_limit_claims_under_way_may_end_for_30_seconds() {
    let service = Service::start().await;
    create(&service, &json!({ "type": "waits" })).await;
    let running = json!([{
        "external_id": "1", "type": "runs", "status": "running", "created_at": "2026-01-01T00:00:00Z",
        "started_at": "2026-01-01T00:00:01Z",
    }]);
    assert_eq!(ingest(&service, &running).await, [1, 0, 0, 0]);
    for kind in ["waits", "runs"] {
        let before = system_clock();
        let reply = put(&service, kind, &json!({ "max_concurrency": 2 })).await;
        assert_eq!((reply.at("/max_concurrency"), reply.at("/running")), (&json!(2), &json!(0)));
        let stored = stored(&service, kind).await;
        assert!(!stored.adopted);
        let opens_at = stored.opens_at.expect("jobs may run without a slot");
        assert!(opens_at >= before.plus_millis(30_000) && opens_at <= system_clock().plus_millis(30_000));
        // The opening time stays when other settings change.
        put(&service, kind, &json!({ "max_concurrency": 1, "max_attempts": 7 })).await;
        let again = self::stored(&service, kind).await;
        assert_eq!((again.opens_at, again.adopted), (Some(opens_at), false));
    }
}

#[tokio::test]
async fn slots_that_are_taken_stay_taken() {
    let service = Service::start().await;
    put(&service, "a", &json!({ "max_concurrency": 3 })).await;
    take_slots(&service, "a", 2).await;
    assert_eq!(get(&service, "a").await["running"], 2);
    // Also if the limit is lower than that.
    let reply = put(&service, "a", &json!({ "max_concurrency": 1 })).await;
    assert_eq!(reply.at("/running"), 2);
    let reply = put(&service, "a", &json!({})).await;
    assert_eq!(reply.at("/running"), &Value::Null);
    assert_eq!(stored(&service, "a").await.running, 2);
}

#[tokio::test]
async fn of_many_writes_at_once_one_wins() {
    let service = Service::start().await;
    let service = &service;
    each_of(0..20_u32, async |number| {
        let limit = (number % 2 == 0).then_some(number + 1);
        let body = json!({ "max_concurrency": limit, "max_attempts": number + 1 });
        let reply = service.call("PUT", "/v1/types/a").json(&body).send().await;
        // If too many other writes come first, the function returns 503, and the caller retries.
        assert!([200, 503].contains(&reply.status), "{}", reply.text);
    })
    .await;
    let last = stored(service, "a").await;
    let attempts = last.settings.max_attempts.expect("a number");
    assert_eq!(
        last.settings.max_concurrency,
        (attempts % 2 == 1).then_some(attempts),
        "whole settings, not a mix"
    );
    assert_eq!((last.opens_at, last.adopted), (None, attempts % 2 == 1));
}

#[tokio::test]
async fn an_answer_can_be_put_as_it_is() {
    let service = Service::start().await;
    let body = json!({
        "max_concurrency": 3, "timeout_seconds": 60, "max_attempts": 2, "backoff_seconds": 0,
        "stages": [{ "name": "fetch", "weight": 1 }], "mode": "immediate",
    });
    put(&service, "a", &body).await;
    take_slots(&service, "a", 2).await;
    for kind in ["a", "never-set"] {
        let before = get(&service, kind).await;
        let reply = put(&service, kind, &before).await;
        let mut expect = before;
        expect["updated_at"] = reply.at("/updated_at").clone();
        assert_eq!(reply.json, expect);
        assert_eq!(get(&service, kind).await, expect);
    }
    // The path alone says which type it is, and a pause is ended by nothing but its end.
    let of_another = get(&service, "never-set").await;
    let reply = service.call("PUT", "/v1/types/a").json(&of_another).send().await;
    refuses(&reply, 400, "invalid_body", &["type"]);
    let before = get(&service, "a").await;
    service.call("POST", "/v1/types/a/pause").expect(200).await;
    let reply = put(&service, "a", &before).await;
    assert_ne!(reply.at("/paused_at"), &Value::Null);
}
