//! `GET /v1/types`.

use std::time::Duration;

use jobledger_tests::Service;
use jobledger_tests::claims::{create_and_claim, set_type};
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::problems::refuses;
use serde_json::{Value, json};

use super::get;

async fn list(service: &Service, query: &str) -> Value {
    service.get(&format!("/v1/types?{query}")).expect(200).await.json
}

fn names(page: &Value) -> Vec<&str> {
    page["types"].as_array().expect("types").iter().map(|of| of["type"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn each_type_has_its_settings_and_its_queue() {
    let service = Service::start().await;
    let empty = json!({ "types": [], "has_more": false, "next_cursor": null });
    assert_eq!(list(&service, "").await, empty);
    set_type(&service, "set", &json!({ "max_concurrency": 3 })).await;
    let held = create_and_claim(&service, &json!({ "type": "busy" })).await;
    held.tell(&service, &json!({ "status": "completed" })).await;
    create_and_claim(&service, &json!({ "type": "busy" })).await;
    for _ in 0..3 {
        create(&service, &json!({ "type": "busy", "priority": 2 })).await;
    }
    create(&service, &json!({ "type": "busy", "available_at": "2100-01-01T00:00:00Z" })).await;
    let old = json!([{
        "external_id": "1", "type": "old", "status": "queued", "created_at": "2026-01-01T00:00:00Z",
        "available_at": "2026-01-01T00:00:00Z",
    }]);
    assert_eq!(ingest(&service, &old).await, [1, 0, 0, 0]);
    service.call("POST", "/v1/types/old/pause").expect(200).await;
    // The service's own types, and those of others, are not among them.
    let bulk = json!({ "action": "cancel", "filter": { "type": "none" } });
    service.post("/v1/jobs/bulk", &bulk).expect(202).await;
    service.post("/v1/jobs?owner=other", &json!({ "type": "theirs" })).expect(201).await;
    service.settled().await;

    let page = list(&service, "").await;
    assert_eq!(names(&page), ["busy", "old", "set"]);
    let shown = |place: usize| {
        let mut shown = page["types"][place].clone();
        let fields = shown.as_object_mut().expect("an object");
        let queue = ["by_status", "due", "scheduled", "retrying", "due_kind", "oldest_wait_seconds"]
            .map(|name| fields.remove(name).expect("a field"));
        (shown, queue)
    };
    let counts = |queued: u32, running: u32, completed: u32| json!({ "queued": queued, "running": running, "completed": completed, "failed": 0, "cancelled": 0 });
    let (busy, [by_status, due, scheduled, retrying, due_kind, oldest]) = shown(0);
    assert_eq!(busy, get(&service, "busy").await);
    assert_eq!((by_status, due, due_kind), (counts(4, 1, 1), json!(3), json!("exact")));
    assert_eq!((scheduled, retrying), (json!(1), json!(0)));
    assert!(oldest.as_u64().is_some_and(|seconds| seconds < 3_600), "{oldest}");
    let (old, [by_status, due, _, _, _, oldest]) = shown(1);
    assert_eq!(old, get(&service, "old").await);
    assert_ne!(old["paused_at"], Value::Null);
    assert_eq!((by_status, due), (counts(1, 0, 0), json!(1)));
    assert!(oldest.as_u64().is_some_and(|seconds| seconds > Duration::from_hours(24).as_secs()), "{oldest}");
    let (set, queue) = shown(2);
    assert_eq!(set, get(&service, "set").await);
    assert_eq!(queue, [counts(0, 0, 0), json!(0), json!(0), json!(0), json!("exact"), Value::Null]);
}

/// Names from settings and from jobs come in one order, each once, at any length of the pages.
#[tokio::test]
async fn pages_have_every_type_once() {
    let service = Service::shared().await;
    let mut all = Vec::new();
    for number in 0..17 {
        let kind = ["a", "A", "a-", "a.", "a:b", "b_"][number % 6].to_owned() + &number.to_string();
        if number % 3 != 1 {
            set_type(&service, &kind, &json!({ "max_attempts": 2 })).await;
        }
        if number % 3 != 0 {
            create(&service, &json!({ "type": kind })).await;
        }
        all.push(kind);
    }
    service.settled().await;
    all.sort_unstable();
    for limit in [1, 2, 5, 16, 17, 100] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = list(&service, &format!("limit={limit}{cursor}")).await;
            let found = names(&page);
            assert!(found.len() <= limit);
            seen.extend(found.into_iter().map(str::to_owned));
            assert_eq!(page["has_more"], page["next_cursor"].is_string());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, all, "{limit}");
    }
}

#[tokio::test]
async fn wrong_words_are_refused() {
    let service = Service::shared().await;
    for (query, fields) in [
        ("limit=0", vec!["limit"]),
        ("limit=101&colour=red", vec!["limit", "colour"]),
        ("cursor=x", vec!["cursor"]),
    ] {
        let reply = service.get(&format!("/v1/types?{query}")).send().await;
        refuses(&reply, 422, "invalid_query", &fields);
    }
}
