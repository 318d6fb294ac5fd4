//! Changing when and how a job that waits shall run: its time, its payload, its attempts.

use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::claims::{claim_of, create_and_claim, ids_of, set_type};
use jobledger_tests::jobs::{create, total};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::stored_parts;
use serde_json::{Value, json};

use super::{is_at, patch, time, whole};

const LATER: &str = "2100-01-01T00:00:00.000Z";

#[tokio::test]
async fn a_job_can_be_put_off_and_run_now() {
    let service = Service::shared().await;
    let first = create(&service, &json!({ "type": "a" })).await;
    let second = create(&service, &json!({ "type": "a", "available_at": LATER })).await;
    let reply = patch(&service, &first, &json!({ "available_at": LATER })).expect(200).await;
    is_at(&reply, "queued");
    assert_eq!(reply.at("/available_at"), LATER);
    assert!(claim_of(&service, "a", 10).await.is_empty());
    // A time that is over means now: it does not go before jobs that have waited.
    let third = create(&service, &json!({ "type": "a" })).await;
    let before = system_clock();
    for id in [&second, &first] {
        let reply = patch(&service, id, &json!({ "available_at": "1970-01-01T00:00:00Z" })).expect(200).await;
        let due = time(reply.at("/available_at"));
        assert!(due >= before && due <= system_clock(), "{due}");
    }
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [&third, &second, &first]);
}

#[tokio::test]
async fn an_attempt_that_failed_is_tried_again_when_its_caller_says() {
    let service = Service::shared().await;
    set_type(&service, "a", &json!({ "backoff_seconds": 3_600 })).await;
    let held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    held.tell(&service, &json!({ "status": "failed", "error": "no" })).await;
    assert!(claim_of(&service, "a", 1).await.is_empty());
    patch(&service, &held.id, &json!({ "available_at": system_clock() })).expect(200).await;
    let again = claim_of(&service, "a", 1).await.remove(0);
    assert_eq!((again.id.as_str(), &again.job["attempt"]), (held.id.as_str(), &json!(2)));
    // A worker may hand a job back for later, and a caller may retry it for later.
    let later = json!({ "status": "queued", "available_at": LATER });
    assert_eq!(again.tell(&service, &later).await.at("/available_at"), LATER);
    assert!(claim_of(&service, "a", 1).await.is_empty());
    service.call("POST", &format!("/v1/jobs/{}/cancel", held.id)).expect(200).await;
    let reply =
        patch(&service, &held.id, &json!({ "status": "queued", "available_at": LATER, "payload": 2 }));
    assert_eq!(reply.expect(200).await.at("/available_at"), LATER);
    assert_eq!(whole(&service, &held.id).await["payload"], 2);
}

#[tokio::test]
async fn a_payload_is_replaced_while_its_job_waits() {
    let service = Service::shared().await;
    let job = json!({ "type": "a", "payload": { "url": "x" }, "metadata": { "keep": 1 } });
    let id = create(&service, &job).await;
    patch(&service, &id, &json!({ "payload": { "url": "y", "deep": [1.50] } })).expect(200).await;
    let both = json!({ "payload": ["z"], "metadata": { "new": true } });
    assert_eq!(stored_parts(&service, &id).await.len(), 2, "one input, no orphan");
    let held = claim_of(&service, "a", 1).await.remove(0);
    assert_eq!(
        (&held.job["payload"], &held.job["metadata"]),
        (&json!({ "url": "y", "deep": [1.50] }), &json!({ "keep": 1 }))
    );
    let reply = patch(&service, &id, &both).send().await;
    is_problem(&reply, 409, "wrong_status");
    assert_eq!(reply.at("/detail"), "a running job cannot be given another payload");
    assert_eq!(whole(&service, &id).await["metadata"], json!({ "keep": 1 }), "all or nothing");
    held.tell(&service, &json!({ "status": "queued" })).await;
    patch(&service, &id, &both).expect(200).await;
    let held = claim_of(&service, "a", 1).await.remove(0);
    assert_eq!((&held.job["payload"], &held.job["metadata"]), (&json!(["z"]), &json!({ "new": true })));
    // The same request as at first is still the same job, however it was edited.
    let bare = create(&service, &json!({ "type": "b", "external_id": "e" })).await;
    patch(&service, &bare, &json!({ "payload": 1 })).expect(200).await;
    let again = service.post("/v1/jobs", &json!({ "type": "b", "external_id": "e" })).expect(200).await;
    assert_eq!(again.at("/job_id"), &json!(bare));
    assert_eq!(whole(&service, &bare).await["payload"], 1);
    let large = json!({ "payload": "x".repeat(262_144) });
    is_problem(&patch(&service, &bare, &large).send().await, 413, "too_large");
}

#[tokio::test]
async fn attempts_and_their_time_can_change() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let reply =
        patch(&service, &held.id, &json!({ "max_attempts": 3, "timeout_seconds": 60 })).expect(200).await;
    assert_eq!((reply.at("/max_attempts"), reply.at("/timeout_seconds")), (&json!(3), &json!(60)));
    held.tell(&service, &json!({ "status": "queued" })).await;
    let again = claim_of(&service, "a", 1).await.remove(0);
    let body = json!({ "lease_seconds": 900 });
    let until = again.tell(&service, &body).await;
    assert!(
        time(until.at("/lease_expires_at")).since(system_clock()) <= 60_000,
        "the attempt has 60 seconds"
    );
    let reply =
        patch(&service, &held.id, &json!({ "timeout_seconds": null, "max_attempts": 2 })).expect(200).await;
    assert_eq!((reply.at("/max_attempts"), reply.at("/timeout_seconds")), (&json!(2), &Value::Null));
    // Two attempts have begun: a job that runs may have no fewer, and one that waits needs one more.
    for (max_attempts, status) in [(1, 409), (2, 200)] {
        let reply = patch(&service, &held.id, &json!({ "max_attempts": max_attempts })).send().await;
        assert_eq!(reply.status, status, "{}", reply.text);
    }
    again.tell(&service, &json!({ "status": "queued" })).await;
    let reply = patch(&service, &held.id, &json!({ "max_attempts": 2 })).send().await;
    is_problem(&reply, 409, "wrong_status");
    assert_eq!(reply.at("/detail"), "a queued job cannot be given fewer than 3 attempts");
    patch(&service, &held.id, &json!({ "max_attempts": 3 })).expect(200).await;
}

#[tokio::test]
async fn labels_are_merged_and_null_removes_one() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a", "labels": { "team": "red", "model": "m" } })).await;
    let change = json!({ "labels": { "team": null, "gpu_type": "A100", "absent": null } });
    let reply = patch(&service, &id, &change).expect(200).await;
    assert_eq!(reply.at("/labels"), &json!({ "model": "m", "gpu_type": "A100" }));
    let reply = patch(&service, &id, &json!({ "labels": {} })).expect(200).await;
    assert_eq!(reply.at("/labels"), &json!({ "model": "m", "gpu_type": "A100" }));
    for (query, count) in [("model=m", 1), ("team=red", 0)] {
        assert_eq!(total(&service, query).await, count, "{query}");
    }
    // Each fits by itself, and not with those that are there.
    for labels in [
        json!({ "long": "x".repeat(500) }),
        (0..15).map(|number| (format!("l{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into(),
    ] {
        let reply = patch(&service, &id, &json!({ "labels": labels })).send().await;
        refuses(&reply, 400, "invalid_body", &["labels"]);
    }
    for labels in [json!({ "Team": "x" }), json!({ "team": 1 }), json!([])] {
        let reply = patch(&service, &id, &json!({ "labels": labels })).send().await;
        refuses(&reply, 400, "invalid_body", &["labels"]);
    }
    assert_eq!(whole(&service, &id).await["labels"], json!({ "model": "m", "gpu_type": "A100" }));
}

#[tokio::test]
async fn a_job_that_does_not_wait_has_no_other_time() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let later = json!({ "available_at": LATER });
    for status in ["running", "completed"] {
        let reply = patch(&service, &held.id, &later).send().await;
        is_problem(&reply, 409, "wrong_status");
        assert_eq!(
            reply.at("/detail"),
            &json!(format!("a {status} job cannot be given another available_at"))
        );
        if status == "running" {
            held.tell(&service, &json!({ "status": "completed" })).await;
        }
    }
    for (body, fields) in [
        (json!({ "available_at": 1_764_500_000, "max_attempts": 0 }), vec!["available_at", "max_attempts"]),
        (json!({ "timeout_seconds": 0, "max_attempts": 101 }), vec!["timeout_seconds", "max_attempts"]),
    ] {
        let mut named = fields.clone();
        named.sort_unstable();
        let reply = patch(&service, &held.id, &body).send().await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        let errors = reply.at("/errors").as_array().expect("errors").iter();
        let mut found: Vec<_> = errors.map(|error| error["field"].as_str().expect("a field")).collect();
        found.sort_unstable();
        assert_eq!(found, named);
    }
}
