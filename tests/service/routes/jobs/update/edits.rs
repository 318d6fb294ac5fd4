//! Changing the fields that a job's creator set.

use std::sync::Arc;

use jobledger_tests::claims::{claim_of, create_and_claim};
use jobledger_tests::jobs::{create, total};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::is_problem;
use jobledger_tests::stored::{stored_items, stored_parts};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{is_at, patch, time, whole};

#[tokio::test]
async fn a_priority_reorders_the_queue_at_once() {
    let service = Service::shared().await;
    let mut ids = Vec::new();
    for priority in [5, 5, 5, 5] {
        ids.push(create(&service, &json!({ "type": "a", "priority": priority })).await);
    }
    for (place, priority) in [(2, 10), (0, 0), (3, 7)] {
        let reply = patch(&service, &ids[place], &json!({ "priority": priority })).expect(200).await;
        assert_eq!((reply.at("/priority"), reply.at("/cancel")), (&json!(priority), &json!(false)));
        is_at(&reply, "queued");
    }
    let given: Vec<String> = claim_of(&service, "a", 10).await.into_iter().map(|held| held.id).collect();
    assert_eq!(given, [&ids[2], &ids[3], &ids[1], &ids[0]].map(Clone::clone));
}

#[tokio::test]
async fn a_priority_of_a_job_that_is_not_due_keeps_its_time() {
    let service = Service::shared().await;
    let due = jobledger::lambda::system_clock().plus_millis(1_500);
    let later = create(&service, &json!({ "type": "a", "available_at": due })).await;
    let reply = patch(&service, &later, &json!({ "priority": 9, "name": "x" })).expect(200).await;
    assert_eq!(time(reply.at("/available_at")), due);
    let ready = create(&service, &json!({ "type": "a", "priority": 5 })).await;
    service
        .eventually("the time", || async { (jobledger::lambda::system_clock() > due).then_some(()) })
        .await;
    let given: Vec<String> = claim_of(&service, "a", 10).await.into_iter().map(|held| held.id).collect();
    assert_eq!(given, [later, ready]);
}

#[tokio::test]
async fn an_edited_job_is_found_by_its_new_values() {
    let service = Service::shared().await;
    let job = json!({
        "type": "a", "name": "Before.mp4", "labels": { "team": "red", "model": "m" }, "payload": { "keep": 1 },
        "metadata": { "old": 1 },
    });
    let id = create(&service, &job).await;
    let before = whole(&service, &id).await;
    let edit = json!({ "name": "AFTER.mp4", "labels": { "team": "blue" }, "metadata": { "new": [2.50] } });
    let reply = patch(&service, &id, &edit).expect(200).await;
    assert_eq!(reply.at("/name"), "AFTER.mp4");
    let mut expect = before.clone();
    for name in ["name", "metadata"] {
        expect[name] = edit[name].clone();
    }
    expect["labels"] = json!({ "team": "blue", "model": "m" });
    let after = whole(&service, &id).await;
    assert!(time(&after["updated_at"]) > time(&before["updated_at"]));
    expect["updated_at"] = after["updated_at"].clone();
    assert_eq!(after, expect, "the payload and all else are kept");
    assert_eq!(stored_parts(&service, &id).await.len(), 2, "one input, no orphan");
    for (query, count) in
        [("search=after", 1), ("search=before", 0), ("team=blue", 1), ("team=red", 0), ("model=m", 1)]
    {
        assert_eq!(total(&service, query).await, count, "{query}");
    }
    // A job without an input gets one.
    let bare = create(&service, &json!({ "type": "a" })).await;
    patch(&service, &bare, &json!({ "metadata": { "x": 1 } })).expect(200).await;
    let job = whole(&service, &bare).await;
    assert_eq!((&job["metadata"], &job["payload"]), (&json!({ "x": 1 }), &Value::Null));
}

#[tokio::test]
async fn costs_move_with_the_labels_of_a_job() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "labels": { "team": "red" } })).await;
    held.tell(&service, &json!({ "status": "completed", "cost_usd": "0.75" })).await;
    let costs = async || {
        service.settled().await;
        service.get("/v1/analytics/cost/by-team").expect(200).await.at("/items").clone()
    };
    let cost = |team: &str, cost: &str| json!({ "team": team, "cost_usd": cost, "jobs": 1 });
    assert_eq!(costs().await, json!([cost("red", "0.750000")]));
    patch(&service, &held.id, &json!({ "labels": { "team": "blue" } })).expect(200).await;
    let items = costs().await;
    assert_eq!(items[0], cost("blue", "0.750000"), "{items}");
    patch(&service, &held.id, &json!({ "cost_usd": "0.5" })).expect(200).await;
    assert_eq!(costs().await[0], cost("blue", "0.500000"));
}

#[tokio::test]
async fn a_job_can_be_edited_while_a_worker_holds_it() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "payload": 1 })).await;
    held.tell(&service, &json!({ "progress": { "overall_progress": 40 } })).await;
    let edit = json!({ "priority": 9, "name": "n", "labels": { "team": "t" }, "metadata": { "x": 1 } });
    let reply = patch(&service, &held.id, &edit).expect(200).await;
    is_at(&reply, "running");
    assert_eq!((reply.at("/progress/overall_progress"), reply.at("/worker_id")), (&json!(40), &json!("w")));
    assert!(reply.at("/lease_expires_at").is_string(), "{}", reply.text);
    // The lease is valid, and its holder may send both at once.
    held.tell(&service, &json!({})).await;
    let both = held.tell(&service, &json!({ "name": "m", "progress": { "overall_progress": 50 } })).await;
    assert_eq!((both.at("/name"), both.at("/progress/overall_progress")), (&json!("m"), &json!(50)));
    held.tell(&service, &json!({ "status": "completed", "result": 2, "name": "done" })).await;
    let job = whole(&service, &held.id).await;
    assert_eq!(
        (&job["name"], &job["metadata"], &job["payload"]),
        (&json!("done"), &json!({ "x": 1 }), &json!(1))
    );
    // Also after the job has ended.
    patch(&service, &held.id, &json!({ "name": "later" })).expect(200).await;
    let after = whole(&service, &held.id).await;
    assert_eq!((&after["name"], &after["completed_at"]), (&json!("later"), &job["completed_at"]));
    assert_eq!((&after["result"], &after["expires_at"]), (&json!(2), &job["expires_at"]));
}

#[tokio::test]
async fn each_scope_allows_only_its_fields() {
    let service = Service::start().await;
    add_key(&service, "writes", "default", &["write"], None).await;
    add_key(&service, "works", "default", &["work"], None).await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let call = |key: &str, body: Value| {
        service.anonymous("PATCH", &format!("/v1/jobs/{id}")).header("x-api-key", key).json(&body)
    };
    call("writes", json!({ "priority": 3, "name": "x", "labels": {}, "metadata": {} })).expect(200).await;
    for report in [
        json!({ "status": "running" }),
        json!({ "cost_usd": 1 }),
        json!({ "result": 1 }),
        json!({ "artifacts": [{ "name": "x" }] }),
        json!({ "progress": {} }),
        json!({ "phase": "x" }),
        json!({ "name": "y", "status": "running" }),
    ] {
        is_problem(&call("writes", report).send().await, 403, "missing_scope");
    }
    for edit in
        [json!({ "priority": 4 }), json!({ "name": "y" }), json!({ "labels": {} }), json!({ "metadata": {} })]
    {
        is_problem(&call("works", edit).send().await, 403, "missing_scope");
    }
    call("works", json!({ "status": "running", "progress": { "overall_progress": 1 } })).expect(200).await;
    is_problem(
        &call("works", json!({ "status": "completed", "name": "y" })).send().await,
        403,
        "missing_scope",
    );
    call("works", json!({ "status": "completed" })).expect(200).await;
    assert_eq!(whole(&service, &id).await["name"], "x");
}

#[tokio::test]
async fn two_edits_at_once_are_both_kept() {
    let service = Arc::new(Service::shared().await);
    for _ in 0..4 {
        let held =
            create_and_claim(&service, &json!({ "type": "a", "payload": 1, "metadata": { "x": 0 } })).await;
        let mut changes = JoinSet::new();
        let edits = [
            json!({ "priority": 9 }),
            json!({ "name": "n" }),
            json!({ "labels": { "team": "t" } }),
            json!({ "metadata": { "x": 1 } }),
        ];
        for edit in edits {
            changes.spawn(patch(&service, &held.id, &edit).send());
        }
        for report in [
            json!({ "progress": { "overall_progress": 30 } }),
            json!({ "artifacts": [{ "name": "a" }] }),
            json!({ "timings": { "s": 1 } }),
            json!({ "phase": "p" }),
            json!({ "progress": { "overall_progress": 20 } }),
        ] {
            changes.spawn(held.report(&service, &report).send());
        }
        for reply in changes.join_all().await {
            assert_eq!(reply.status, 200, "{}", reply.text);
        }
        let job = whole(&service, &held.id).await;
        assert_eq!((&job["priority"], &job["name"], &job["phase"]), (&json!(9), &json!("n"), &json!("p")));
        assert_eq!((&job["labels"], &job["metadata"]), (&json!({ "team": "t" }), &json!({ "x": 1 })));
        assert_eq!((&job["payload"], &job["timings"]), (&json!(1), &json!({ "s": 1 })));
        assert_eq!(
            (text(&job["artifacts"][0]["name"]).as_str(), &job["progress"]["overall_progress"]),
            ("a", &json!(30))
        );
        assert_eq!(stored_items(&service, &held.id).await.len(), 3, "head, input and output: no orphan");
        held.tell(&service, &json!({ "status": "completed" })).await;
    }
}
