//! The process ends between any two requests, or answers get lost. Each attempt must end once, and free its slot once.

use jobledger::lambda::system_clock;
use jobledger_tests::faults::{Fault, Proxy};
use serde_json::json;

use super::{ReaperFixture, later, look};

/// More requests than a run of the reaper sends.
const MAX_REQUESTS: usize = 30;

/// The attempt must have ended once.
#[track_caller]
fn is_ended(fixture: &ReaperFixture, id: &str, what: String) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let job = fixture.job(id).await;
        assert_eq!(
            (&job["status"], &job["attempt"]),
            (&json!("queued"), &json!(1)),
            "{caller} {what}: {job}"
        );
        assert_eq!(job["attempts"].as_array().map(Vec::len), Some(1), "{caller} {what}: {job}");
        assert_eq!(fixture.slots("scrape").await, 0, "{caller} {what}");
        fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    }
}

#[tokio::test]
async fn a_crash_at_any_request_ends_each_attempt_once() {
    let fixture = ReaperFixture::start().await;
    fixture.limit("scrape", &json!({ "max_concurrency": 1 })).await;
    let mut crashes = 0;
    for number in 0..MAX_REQUESTS {
        for fault in [Fault::Held, Fault::AnswerHeld] {
            let what = format!("{number} {fault:?}");
            let (id, _) = fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
            fixture.service.settled().await;
            let proxy = Proxy::start(fixture.service.stack.dynamodb_endpoint()).await;
            let watcher = fixture.function("reap-leases", proxy.url(), later).await;
            proxy.spoil(number, fault);
            let is_crashed = tokio::select! {
                _ = look(&watcher) => false,
                () = proxy.held(1) => true,
            };
            drop(watcher);
            fixture.look(later).await;
            is_ended(&fixture, &id, what).await;
            if !is_crashed {
                assert!(crashes >= 12, "{crashes} crashes");
                return;
            }
            crashes += 1;
        }
    }
    panic!("a look takes more than {MAX_REQUESTS} requests");
}

#[tokio::test]
async fn a_lost_answer_ends_each_attempt_once() {
    let fixture = ReaperFixture::start().await;
    fixture.limit("scrape", &json!({ "max_concurrency": 1 })).await;
    for number in 0..MAX_REQUESTS {
        for fault in [Fault::Lost, Fault::AnswerLost, Fault::throttled(), Fault::conflict()] {
            let what = format!("{number} {fault:?}");
            let (id, _) = fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await;
            fixture.service.settled().await;
            let proxy = Proxy::start(fixture.service.stack.dynamodb_endpoint()).await;
            let watcher = fixture.function("reap-leases", proxy.url(), later).await;
            proxy.spoil(number, fault);
            let said = look(&watcher).await;
            assert_eq!(said["errors"], 0, "{what}: {said}");
            is_ended(&fixture, &id, what).await;
            if proxy.seen().len() <= number {
                return;
            }
        }
    }
    panic!("a look takes more than {MAX_REQUESTS} requests");
}

/// Two runs at the same time, as if the first took longer than a minute.
#[tokio::test]
async fn two_runs_at_once_end_each_attempt_once() {
    let fixture = ReaperFixture::start().await;
    fixture.limit("scrape", &json!({ "max_concurrency": 4 })).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(fixture.claimed(&json!({ "type": "scrape", "max_attempts": 2 })).await.0);
    }
    fixture.service.settled().await;
    let (one, other) = (fixture.watcher(later).await, fixture.watcher(later).await);
    let (one, other) = tokio::join!(look(&one), look(&other));
    let both = |name: &str| one[name].as_u64().zip(other[name].as_u64()).map(|(one, other)| one + other);
    assert_eq!(both("queued"), Some(4), "{one} {other}");
    for id in ids {
        is_ended(&fixture, &id, system_clock().to_string()).await;
    }
}
