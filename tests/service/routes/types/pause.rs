//! `POST /v1/types/{type}/pause` and `/resume`.

use jobledger::domain::Timestamp;
use jobledger_tests::Service;
use jobledger_tests::claims::{
    claim, claim_jobs_a_minute_ahead, claim_of, create_and_claim, ids_of, set_type, slots,
};
use jobledger_tests::jobs::create;
use serde_json::{Value, json};

use super::get;

async fn pause(service: &Service, kind: &str) -> Value {
    service.call("POST", &format!("/v1/types/{kind}/pause")).expect(200).await.json
}

async fn resume(service: &Service, kind: &str) -> Value {
    service.call("POST", &format!("/v1/types/{kind}/resume")).expect(200).await.json
}

#[tokio::test]
async fn no_job_of_a_paused_type_is_claimed_and_all_else_goes_on() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    let first = create(&service, &json!({ "type": "a" })).await;
    assert_ne!(pause(&service, "a").await["paused_at"], Value::Null);
    // Jobs queue, and claims return those of other types only.
    let second = create(&service, &json!({ "type": "a" })).await;
    let other = create(&service, &json!({ "type": "b" })).await;
    let both = json!({ "worker_id": "w", "types": ["a", "b"], "max": 10 });
    assert_eq!(ids_of(&claim(&service, &both).await), [other]);
    let waiting = json!({ "worker_id": "w", "types": ["a"], "wait_seconds": 1 });
    assert!(claim(&service, &waiting).await.is_empty());
    // A job that runs goes on to its end.
    held.tell(&service, &json!({ "progress": { "overall_progress": 40 } })).await;
    held.tell(&service, &json!({ "status": "completed" })).await;
    assert_eq!(resume(&service, "a").await["paused_at"], Value::Null);
    assert_eq!(ids_of(&claim_of(&service, "a", 10).await), [first, second]);
}

#[tokio::test]
async fn a_pause_and_its_end_may_be_repeated() {
    let service = Service::shared().await;
    // A type without settings stays one with the defaults.
    assert_eq!(resume(&service, "a").await, get(&service, "a").await);
    assert_eq!(get(&service, "a").await["updated_at"], Value::Null);
    let paused = pause(&service, "a").await;
    let again = pause(&service, "a").await;
    assert_eq!(again["paused_at"], paused["paused_at"], "it is paused since the first time");
    let at =
        |answer: &Value| Timestamp::parse(answer["updated_at"].as_str().expect("a time")).expect("a time");
    assert!(at(&again) >= at(&paused));
    assert_eq!(get(&service, "a").await, again);
    for _ in 0..2 {
        let resumed = resume(&service, "a").await;
        assert_eq!((&resumed["paused_at"], &resumed["backoff_seconds"]), (&Value::Null, &json!(10)));
    }
    // Settings outlast a pause, and a pause outlasts settings.
    set_type(&service, "b", &json!({ "max_attempts": 7, "mode": "immediate" })).await;
    let paused = pause(&service, "b").await;
    assert_eq!((&paused["max_attempts"], &paused["mode"]), (&json!(7), &json!("immediate")));
    set_type(&service, "b", &json!({ "max_attempts": 3 })).await;
    assert_eq!(get(&service, "b").await["paused_at"], paused["paused_at"]);
    // Another owner has its own types.
    let other = format!("/v1/types/b?owner={}", service.other_owner());
    assert_eq!(service.get(&other).send().await.at("/paused_at"), &Value::Null);
}

#[tokio::test]
async fn a_paused_type_with_a_limit_keeps_its_slots() {
    let service = Service::start().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let waits = create(&service, &json!({ "type": "a" })).await;
    pause(&service, "a").await;
    set_type(&service, "a", &json!({ "max_concurrency": 2 })).await;
    assert!(claim_of(&service, "a", 10).await.is_empty());
    resume(&service, "a").await;
    assert_eq!(
        (ids_of(&claim_of(&service, "a", 10).await), slots(&service, "a").await),
        (vec![&*waits], json!(2))
    );
    pause(&service, "a").await;
    held.tell(&service, &json!({ "status": "completed" })).await;
    assert_eq!(slots(&service, "a").await, 1);
    create(&service, &json!({ "type": "a" })).await;
    assert!(claim_of(&service, "a", 10).await.is_empty());
    let ahead = claim_jobs_a_minute_ahead(&service).await;
    let body = json!({ "worker_id": "w", "types": ["a"] }).to_string();
    let request = jobledger_tests::alone::Request::new("POST", "/v1/jobs/claim").body(body);
    assert_eq!(ahead.call(&request).await.json, json!({ "jobs": [] }), "a pause has no end of its own");
}
