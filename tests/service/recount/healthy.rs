//! A service with correct counts, while its jobs change all the time.

use jobledger_tests::jobs::{create, total};
use jobledger_tests::text;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::RecountFixture;

/// Most rounds of changes during a recount.
const MAX_ROUNDS: usize = 1_000;

/// Creates, cancels and deletes jobs until `is_enough`; returns how many stay.
async fn bustle(fixture: &RecountFixture, is_enough: &AtomicBool) -> u64 {
    let mut stay = 0;
    for _ in 0..MAX_ROUNDS {
        if is_enough.load(Ordering::Relaxed) && stay >= 4 {
            return stay;
        }
        for kind in ["a", "b", "c"] {
            let id = create(&fixture.service, &json!({ "type": kind })).await;
            stay += 1;
            if kind != "a" {
                fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
            }
            if kind == "c" {
                fixture.service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
                stay -= 1;
            }
        }
    }
    stay
}

#[tokio::test]
async fn no_drift_is_found_while_jobs_change() {
    let fixture = RecountFixture::start(&[]).await;
    let is_enough = AtomicBool::new(false);
    let recounts = async {
        for settle_seconds in [0, 1] {
            let result = fixture.recount(&json!({ "settle_seconds": settle_seconds, "repair": true })).await;
            assert_eq!((&result["drift"], &result["repaired"]), (&json!({}), &json!(0)), "{result}");
            assert!(result["hours"].as_u64() >= Some(9) && result["rows"].as_u64() >= Some(12), "{result}");
        }
        is_enough.store(true, Ordering::Relaxed);
    };
    let (stay, ()) = tokio::join!(bustle(&fixture, &is_enough), recounts);
    fixture.service.settled().await;
    assert_eq!(total(&fixture.service, "").await, stay + 6);
    let result = fixture.recount(&json!({ "settle_seconds": 0 })).await;
    assert_eq!((&result["drift"], &result["busy"]), (&json!({}), &json!(0)), "{result}");
}

#[tokio::test]
async fn counts_during_a_repair_are_kept() {
    let fixture = RecountFixture::start(&[]).await;
    fixture.tallies.spoil("default", "total", "alive:queued", 50).await;
    fixture.tallies.spoil("default", "total@a", "created", 50).await;
    fixture.tallies.spoil("*", "total@a", "alive:cancelled", 50).await;
    fixture.tallies.spoil("default", "hour#2026-01-11T05", "alive:queued", 50).await;
    let is_enough = AtomicBool::new(false);
    let repairs = async {
        for _ in 0..2 {
            fixture.recount(&json!({ "settle_seconds": 0, "repair": true })).await;
        }
        is_enough.store(true, Ordering::Relaxed);
    };
    let (stay, ()) = tokio::join!(bustle(&fixture, &is_enough), repairs);
    fixture.service.settled().await;
    // This recount reads the hours that were too busy before.
    fixture.recount(&json!({ "settle_seconds": 0, "repair": true })).await;
    assert_eq!(fixture.drift().await, json!({}));
    assert_eq!(total(&fixture.service, "").await, stay + 6);
    assert_eq!(total(&fixture.service, "type=a&status=queued").await, stay / 2 + 2);
    assert_eq!(total(&fixture.service, "type=b&status=cancelled").await, stay / 2);
}

#[tokio::test]
async fn a_service_without_jobs_is_recounted_too() {
    let service = jobledger_tests::Service::shared().await;
    let reply =
        service.call("POST", "/v1/admin/recount").json(&json!({ "settle_seconds": 0 })).expect(202).await;
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
    assert_eq!(
        (job.at("/status"), job.at("/result/drift")),
        (&json!("completed"), &json!({})),
        "{}",
        job.text
    );
}
