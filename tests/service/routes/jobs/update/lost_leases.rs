//! Reports without a valid lease: the function refuses them, and changes nothing.

use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::claims::{ClaimedJob, create_and_claim, set_type};
use jobledger_tests::dynamo::{Item, text};
use jobledger_tests::jobs::create;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::{spoil_head, stored_items};
use serde_json::{Value, json};

use super::whole;

fn reports() -> Vec<Value> {
    vec![
        json!({}),
        json!({ "progress": { "current_task": "x", "overall_progress": 90 } }),
        json!({ "phase": "uploading" }),
        json!({ "status": "running", "lease_seconds": 900 }),
        json!({ "status": "completed" }),
        json!({ "status": "completed", "result": { "late": true } }),
        json!({ "status": "completed", "priority": 9, "cost_usd": "1" }),
        json!({ "status": "failed", "error": "late" }),
        json!({ "status": "failed", "error": "late", "retryable": false }),
        json!({ "status": "queued" }),
        json!({ "status": "cancelled" }),
        json!({ "artifacts": [{ "name": "late" }], "timings": { "x": 1 } }),
        json!({ "priority": 9, "name": "late", "labels": { "team": "late" }, "metadata": { "late": 1 } }),
    ]
}

/// The stored items of a job, except for outputs.
async fn without_outputs(service: &Service, id: &str) -> Vec<Item> {
    let items = stored_items(service, id).await.into_iter();
    items.filter(|item| !text(item, "part").starts_with("output#")).collect()
}

/// The function refuses every report with this token, and leaves the stored items unchanged, except for outputs.
async fn all_refused(service: &Service, held: &ClaimedJob, code: &str) {
    let before = without_outputs(service, &held.id).await;
    for report in reports() {
        let reply = held.report(service, &report).send().await;
        is_problem(&reply, 409, code);
        if code == "lease_lost" {
            assert_eq!(reply.at("/job_status"), "running", "{report}");
        }
    }
    assert_eq!(without_outputs(service, &held.id).await, before);
}

#[tokio::test]
async fn an_expired_lease_is_lost_before_the_reaper_runs() {
    let service = Service::start().await;
    set_type(&service, "b", &json!({ "max_concurrency": 1 })).await;
    let mut ids = Vec::new();
    for kind in ["a", "b"] {
        let held =
            create_and_claim(&service, &json!({ "type": kind, "payload": 1, "max_attempts": 3 })).await;
        let past = system_clock().plus_millis(-1).millis().to_string();
        spoil_head(&service, &held.id, &json!({ "lease_until": { "N": past } })).await;
        all_refused(&service, &held, "lease_lost").await;
        ids.push(held.id);
    }
    assert_eq!(service.get("/v1/types/b").expect(200).await.at("/running"), 1, "its slot is not given back");
    // An earlier sending of such a report may still come, so its result stays. It goes with the job.
    for id in ids {
        service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
        let gone = async || stored_items(&service, &id).await.is_empty().then_some(());
        service.eventually("the end of all that is stored", gone).await;
    }
}

#[tokio::test]
async fn a_lease_is_valid_until_its_end() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let soon = system_clock().plus_millis(5_000).millis().to_string();
    spoil_head(&service, &held.id, &json!({ "lease_until": { "N": soon } })).await;
    held.tell(&service, &json!({})).await;
    held.tell(&service, &json!({ "status": "completed" })).await;
}

#[tokio::test]
async fn a_token_is_valid_for_one_job_and_one_attempt() {
    let service = Service::start().await;
    let mine = create_and_claim(&service, &json!({ "type": "a" })).await;
    let another = create_and_claim(&service, &json!({ "type": "a" })).await;
    let mixed = ClaimedJob { id: mine.id.clone(), ..another.clone() };
    let before = stored_items(&service, &mixed.id).await;
    all_refused(&service, &mixed, "lease_lost").await;
    assert_eq!(stored_items(&service, &mixed.id).await, before, "a token of another job leaves nothing");
    // A token with a changed part is invalid: the function uses none of its times, slots or numbers.
    let words: Vec<&str> = mine.token.splitn(6, '.').collect();
    for (place, word) in [(0, "s"), (1, "2"), (2, "900"), (3, "4000000000000"), (5, "b")] {
        let mut words = words.clone();
        words[place] = word;
        let changed = ClaimedJob { token: words.join("."), ..mine.clone() };
        for report in [json!({}), json!({ "status": "completed" }), json!({ "status": "queued" })] {
            is_problem(&changed.report(&service, &report).send().await, 409, "lease_lost");
        }
    }
    mine.tell(&service, &json!({ "status": "completed" })).await;
    another.tell(&service, &json!({ "status": "completed" })).await;
}

#[tokio::test]
async fn another_owner_cannot_use_a_token() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["read", "write", "work"], None).await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let before = stored_items(&service, &held.id).await;
    let path = format!("/v1/jobs/{}", held.id);
    for mut report in reports() {
        report["lease_token"] = json!(held.token);
        let call = service.anonymous("PATCH", &path).header("x-api-key", "others").json(&report);
        is_problem(&call.send().await, 404, "job_not_found");
        let call = service.call("PATCH", &format!("{path}?owner=other")).json(&report);
        is_problem(&call.send().await, 404, "job_not_found");
    }
    assert_eq!(stored_items(&service, &held.id).await, before);
}

#[tokio::test]
async fn an_invalid_token_is_refused_by_name() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let before = stored_items(&service, &held.id).await;
    let cut = held.token.rsplit_once('.').expect("words").0;
    for bad in [
        json!(""),
        json!("x"),
        json!(5),
        json!("x".repeat(193)),
        json!(cut),
        json!(["x"]),
        json!("f.1.60.0.1.a"),
    ] {
        let body = json!({ "lease_token": bad, "status": "completed" });
        let reply = service.call("PATCH", &format!("/v1/jobs/{}", held.id)).json(&body).send().await;
        refuses(&reply, 400, "invalid_body", &["lease_token"]);
    }
    assert_eq!(stored_items(&service, &held.id).await, before);
}

#[tokio::test]
async fn a_token_for_a_job_that_no_worker_holds_is_lost() {
    let service = Service::shared().await;
    let mine = create_and_claim(&service, &json!({ "type": "a" })).await;
    let waits = create(&service, &json!({ "type": "b" })).await;
    let wrong = ClaimedJob { id: waits.clone(), ..mine };
    let before = whole(&service, &waits).await;
    for report in reports() {
        let reply = wrong.report(&service, &report).send().await;
        is_problem(&reply, 409, "lease_lost");
        assert_eq!(reply.at("/job_status"), "queued");
    }
    assert_eq!(whole(&service, &waits).await, before);
}
