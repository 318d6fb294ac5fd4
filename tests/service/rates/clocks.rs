//! What a rate lets through and what it costs, to the call: races, clocks that disagree, what is stored.

use futures_util::future::join_all;
use jobledger::dynamo::Ledger;
use jobledger_tests::stream::Dice;
use serde_json::json;

use super::{BEGIN_MS, Fleet, excess, key, spend, spend_all};

/// Execution environments that call at the same time.
const MANY: usize = 64;
const MINUTE_MS: i64 = 60_000;

async fn environments(fleet: &Fleet) -> Vec<Ledger> {
    join_all((0..MANY).map(|_| fleet.environment())).await
}

#[tokio::test(start_paused = true)]
async fn many_who_race_for_the_last_call_do_not_share_it() {
    for burst in [1, 7, 99] {
        let fleet = Fleet::start(u64::from(burst));
        fleet.weather(5, 0);
        let (key, environments) = (key(60, burst), environments(&fleet).await);
        // First for all that there is; then a second gives one more.
        for (millis, expected) in [(0, burst), (999, 0), (1_000, 1), (3_000, burst.min(2))] {
            let each = environments.iter().cycle().take(2 * MANY);
            let all = join_all(each.map(|environment| spend(environment, &key, millis))).await;
            let passed = all.iter().filter(|standing| standing.retry_after_seconds.is_none()).count();
            assert_eq!(u32::try_from(passed), Ok(expected), "{burst} at once, after {millis} ms");
        }
    }
}

#[tokio::test]
async fn a_steady_caller_gets_its_burst_and_its_rate() {
    let fleet = Fleet::start(1);
    let (key, environment) = (key(600, 600), fleet.environment().await);
    assert_eq!(spend_all(&environment, &key, 0).await, 540);
    println!("600 a minute and at once: 540 at once, by {} writes", fleet.take_requests());
    // Twice as often as it may, for ten minutes.
    let (mut passed, mut calls) = (0, 0);
    for millis in (0..10 * MINUTE_MS).step_by(50) {
        calls += 1;
        passed += u32::from(spend(&environment, &key, millis).await.retry_after_seconds.is_none());
    }
    let writes = fleet.take_requests();
    println!("{calls} calls at twice the rate: {passed} let through, by {writes} writes");
    assert!((5_990..=6_000).contains(&passed), "{passed} of 6,000");
    // Half as often as it may: nothing is refused, and a write is for many.
    let from = 20 * MINUTE_MS;
    for millis in (from..from + 10 * MINUTE_MS).step_by(200) {
        assert_eq!(spend(&environment, &key, millis).await.retry_after_seconds, None, "at {millis} ms");
    }
    let writes = fleet.take_requests();
    println!("3000 calls at half the rate, by {writes} writes");
    assert!(writes <= 150, "{writes} writes for 3,000 calls");
}

#[tokio::test]
async fn many_environments_get_most_of_the_rate() {
    // So many calls a second by all together, where 100 may be.
    for (per_second, least_percent, most_writes_percent) in [(50, 100, 60), (90, 99, 40), (300, 85, 70)] {
        let fleet = Fleet::start(2);
        let (key, environments) = (key(6_000, 6_000), environments(&fleet).await);
        let mut dice = Dice::new(per_second);
        let (lasts, mut came, mut times) = (MINUTE_MS, 0, Vec::new());
        for number in 0..60 * per_second {
            came += 1;
            let millis = i64::try_from(1_000 * number / per_second).expect("minutes");
            let standing = spend(dice.pick(&environments), &key, millis).await;
            if standing.retry_after_seconds.is_none() {
                times.push(BEGIN_MS + millis);
            }
        }
        let writes = fleet.take_requests();
        let passed = times.len();
        println!("{per_second} calls a second by 64: {passed} of {came} let through, by {writes} writes");
        assert_eq!(excess(6_000, 6_000, &times), 0);
        let due = came.min(6_000 + 100 * usize::try_from(lasts / 1_000).expect("seconds"));
        assert!(passed * 100 >= due * least_percent, "{passed} of {due}");
        let most_writes = u64::try_from(came * most_writes_percent / 100).expect("a count");
        assert!(writes <= most_writes, "{writes} writes for {came} calls");
    }
}

#[tokio::test]
async fn a_call_is_refused_until_its_time_and_without_asking_the_store() {
    for (per_minute, burst) in [(60, 3), (600, 600), (7, 1), (1, 1)] {
        let fleet = Fleet::start(3);
        let (key, environment) = (key(per_minute, burst), fleet.environment().await);
        spend_all(&environment, &key, 0).await;
        fleet.take_requests();
        let refused = spend(&environment, &key, 1).await;
        let seconds = i64::try_from(refused.retry_after_seconds.expect("refused")).expect("seconds");
        assert_eq!(refused.remaining, 0);
        for millis in [1, 1_000 * (seconds - 1)] {
            assert!(spend(&environment, &key, millis).await.retry_after_seconds.is_some(), "{millis} ms");
        }
        assert_eq!(fleet.take_requests(), 0, "the environment knows that nothing is left");
        assert_eq!(spend(&environment, &key, 1 + 1_000 * seconds).await.retry_after_seconds, None);
        // After as long as the headers say, the bucket is full again.
        let full = i64::try_from(refused.full_in_seconds).expect("seconds");
        let standing = spend(&environment, &key, 10 * MINUTE_MS + 1_000 * (full + seconds)).await;
        assert!(standing.remaining + 1 >= burst - burst / 10, "{standing:?}");
    }
}

#[tokio::test]
async fn a_clock_a_minute_ahead_keeps_the_others_waiting_for_a_minute_at_most() {
    let fleet = Fleet::start(4);
    let key = key(600, 600);
    let [ahead, right] = [fleet.environment().await, fleet.environment().await];
    assert_eq!(spend_all(&ahead, &key, MINUTE_MS).await, 540);
    let seconds = spend(&right, &key, 0).await.retry_after_seconds.expect("refused");
    assert!((60..=61).contains(&seconds), "{seconds}");
    assert_eq!(spend(&right, &key, 61_000).await.retry_after_seconds, None);
    // Where all clocks jump, nobody waits; and when they are right again, for a minute.
    let fleet = Fleet::start(5);
    let environments = environments(&fleet).await;
    for environment in &environments {
        assert_eq!(spend(environment, &key, MINUTE_MS).await.retry_after_seconds, None);
    }
    for environment in &environments {
        let waits = spend(environment, &key, 0).await.retry_after_seconds;
        assert!(waits.is_none_or(|seconds| seconds <= 60), "{waits:?}");
        assert_eq!(spend(environment, &key, 61_000).await.retry_after_seconds, None);
    }
}

#[tokio::test]
async fn a_lease_ends_when_the_clock_goes_back() {
    let fleet = Fleet::start(6);
    let (key, environment) = (key(600, 600), fleet.environment().await);
    for _ in 0..20 {
        spend(&environment, &key, MINUTE_MS).await;
    }
    fleet.take_requests();
    // One that came a moment before the one that leased is no clock that went back.
    for millis in [MINUTE_MS - 100, MINUTE_MS + 1, MINUTE_MS + 2_000] {
        spend(&environment, &key, millis).await;
    }
    assert_eq!(fleet.take_requests(), 0);
    assert!(spend(&environment, &key, 0).await.retry_after_seconds.is_some());
    assert_eq!(spend(&environment, &key, MINUTE_MS + 5_999).await.retry_after_seconds, None);
    assert_eq!(fleet.take_requests(), 1, "what was on lease is over");
    // Nothing of an old lease is left beside a new one.
    assert_eq!(spend(&environment, &key, 20 * MINUTE_MS).await.remaining, 539);
}

#[tokio::test]
async fn leases_of_a_moment_ago_do_not_come_on_top() {
    let fleet = Fleet::start(7);
    let key = key(600, 600);
    let (saver, other) = (fleet.environment().await, fleet.environment().await);
    // Its leases grow with its pace, and of the last one the most is left.
    for millis in [[0; 63].as_slice(), &[5_000]].concat() {
        spend(&saver, &key, millis).await;
    }
    // By now the bucket is as full as it gets while something may be out on lease.
    let at_once = spend_all(&other, &key, 10_300).await;
    let leased = spend_all(&saver, &key, 10_300).await;
    assert!(leased > 30, "{leased} on lease");
    assert!(at_once + leased <= 600, "{at_once} and {leased} at once");
}

#[tokio::test]
async fn what_is_on_lease_is_off_the_bucket() {
    let fleet = Fleet::start(10);
    let (key, environment) = (key(600, 600), fleet.environment().await);
    // Leases of 1, 2 and 4: the last one from a bucket that is full again.
    for (millis, remaining) in [(0, 539), (0, 538), (0, 537), (1_000, 539), (1_000, 538), (1_000, 537)] {
        assert_eq!(spend(&environment, &key, millis).await.remaining, remaining, "after {millis} ms");
    }
    assert_eq!(fleet.take_requests(), 3);
}

#[tokio::test]
async fn a_time_that_no_clock_can_have_left_is_begun_anew_as_empty() {
    let fleet = Fleet::start(8);
    let key = key(600, 600);
    spend(&fleet.environment().await, &key, 0).await;
    let table = fleet.engine.table("USAGE_TABLE");
    let span = format!("rate#{}#600/600", key.key_id);
    let name = json!({ "owner": { "S": "somebody" }, "span": { "S": span } });
    for (ahead_ms, waits) in [(5 * MINUTE_MS, 300 - 54 + 1), (MINUTE_MS + 5 * MINUTE_MS + 1, 7)] {
        let update = json!({
            "TableName": table, "Key": name, "UpdateExpression": "SET full_at = :at",
            "ExpressionAttributeValues": { ":at": { "N": (1_000 * (BEGIN_MS + ahead_ms)).to_string() } },
        });
        fleet.engine.call("UpdateItem", &update);
        let environment = fleet.environment().await;
        assert_eq!(spend(&environment, &key, 0).await.retry_after_seconds, Some(waits));
    }
    let environment = fleet.environment().await;
    assert!(spend(&environment, &key, 6_000).await.retry_after_seconds.is_some());
    assert_eq!(spend(&environment, &key, 7_000).await.retry_after_seconds, None);
}

#[tokio::test]
async fn a_changed_rate_holds_at_once_and_keys_do_not_disturb_each_other() {
    let fleet = Fleet::start(9);
    let environment = fleet.environment().await;
    let few = key(60, 5);
    assert_eq!(spend_all(&environment, &few, 0).await, 5);
    assert_eq!(spend_all(&environment, &key(60, 3), 0).await, 3);
    assert_eq!(spend_all(&environment, &key(600, 600), 0).await, 540);
    // Back again, it is as empty as it was left.
    assert_eq!(spend_all(&environment, &few, 2_000).await, 2);
    let other = jobledger::http::AccessKey {
        key_id: jobledger::domain::KeyHash::of("another key").key_id(),
        ..few.clone()
    };
    assert_eq!(spend_all(&environment, &other, 2_000).await, 5);
    let free = jobledger::http::AccessKey { allowance: None, ..few };
    fleet.take_requests();
    let standing = jobledger::http::Gate::spend(&environment, &free, super::at(0)).await;
    assert_eq!((standing.expect("an answer"), fleet.take_requests()), (None, 0));
}
