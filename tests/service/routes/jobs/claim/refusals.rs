//! Claims that are refused.

use jobledger_tests::Service;
use jobledger_tests::claims::claim_of;
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use serde_json::{Value, json};

const PATH: &str = "/v1/jobs/claim";

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({ "worker_id": "w", "types": ["a"] });
    body[name] = value;
    body
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::start().await;
    create(&service, &json!({ "type": "a" })).await;
    let types = |count: usize| json!((0..count).map(|number| format!("t{number}")).collect::<Vec<_>>());
    for (name, wrong) in [
        (
            "worker_id",
            vec![
                json!(null),
                json!(""),
                json!(7),
                json!([]),
                json!("x".repeat(65)),
                json!("a b"),
                json!("-a"),
                json!("_a"),
                json!(".a"),
                json!(":a"),
                json!("ä"),
                json!("a/b"),
                json!("a#b"),
                json!("a\n"),
            ],
        ),
        ("types", vec![json!(null), json!([]), json!("a"), json!({}), types(21), types(50)]),
        ("max", vec![json!(0), json!(11), json!(50), json!(-1), json!(1.5), json!("1"), json!(1e20)]),
        ("lease_seconds", vec![json!(9), json!(901), json!(0), json!(-60), json!(60.5), json!("60")]),
        ("wait_seconds", vec![json!(21), json!(-1), json!(0.5), json!("1"), json!(true)]),
    ] {
        for value in wrong {
            let reply = service.post(PATH, &with(name, value.clone())).send().await;
            refuses(&reply, 400, "invalid_body", &[name]);
        }
    }
    for (kind, place) in [("a b", 0), ("", 0), ("bulk", 0), ("recount", 0)] {
        let reply = service.post(PATH, &with("types", json!([kind, "a"]))).send().await;
        refuses(&reply, 400, "invalid_body", &[&format!("types[{place}]")]);
    }
    let reply = service.post(PATH, &with("types", json!(["a", 5, "bulk", "b", "#"]))).send().await;
    refuses(&reply, 400, "invalid_body", &["types[1]", "types[2]", "types[4]"]);
    let all = json!({
        "types": [], "max": 0, "lease_seconds": 1, "wait_seconds": 99, "colour": "red", "lease_token": "x",
        "owner": "other",
    });
    let reply = service.post(PATH, &all).send().await;
    let named =
        ["worker_id", "types", "max", "lease_seconds", "wait_seconds", "colour", "lease_token", "owner"];
    refuses(&reply, 400, "invalid_body", &named);
    // No refused claim took the job.
    assert_eq!(claim_of(&service, "a", 10).await.len(), 1);
}

#[tokio::test]
async fn values_at_their_limits_are_accepted() {
    let service = Service::shared().await;
    let twenty: Vec<String> = (0..20).map(|number| format!("t{number}")).collect();
    for (name, value) in [
        ("worker_id", json!("9")),
        ("worker_id", json!(format!("A{}", "_-.:0".repeat(12)))),
        ("types", json!(twenty)),
        ("types", json!(["a", "a", "a"])),
        ("max", json!(1)),
        ("max", json!(10)),
        ("max", json!(null)),
        ("lease_seconds", json!(10)),
        ("lease_seconds", json!(900)),
        ("wait_seconds", json!(0)),
    ] {
        let reply = service.post(PATH, &with(name, value)).expect(200).await;
        assert_eq!(reply.json, json!({ "jobs": [] }));
    }
}

#[tokio::test]
async fn an_invalid_body_and_any_query_are_refused() {
    let service = Service::shared().await;
    for body in ["", "[]", "{", "null", "\"a\"", "{\"worker_id\":\"w\",}"] {
        is_problem(&service.call("POST", PATH).body(body).send().await, 400, "invalid_json");
    }
    let reply =
        service.call("POST", PATH).body(r#"{"worker_id":"w","types":["a"],"types":["b"]}"#).send().await;
    refuses(&reply, 400, "invalid_body", &["types"]);
    let reply = service.post(&format!("{PATH}?wait=1&types=a"), &with("max", json!(1))).send().await;
    refuses(&reply, 422, "invalid_query", &["types", "wait"]);
    let long = with("worker_id", json!("x".repeat(17 * 1024)));
    is_problem(&service.post(PATH, &long).send().await, 413, "too_large");
}

#[tokio::test]
async fn claiming_requires_the_work_scope() {
    let service = Service::start().await;
    add_key(&service, "reads-and-writes", "default", &["read", "write"], None).await;
    add_key(&service, "works", "default", &["work"], None).await;
    create(&service, &json!({ "type": "a" })).await;
    let call =
        |key: &str| service.anonymous("POST", PATH).header("x-api-key", key).json(&with("max", json!(10)));
    is_problem(&call("reads-and-writes").send().await, 403, "missing_scope");
    let other = service.anonymous("POST", &format!("{PATH}?owner=other")).header("x-api-key", "works");
    is_problem(&other.json(&with("max", json!(1))).send().await, 403, "missing_scope");
    assert!(call("works").expect(200).await.at("/jobs/0/job_id").is_string());
}
