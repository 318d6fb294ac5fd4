//! The calls that a rate allows, and their cost, to the call: races, clocks that differ, and stored items.

use futures_util::future::join_all;
use jobledger::access::{AccessControl, StoredAccess};
use jobledger::domain::AccessKey;
use jobledger_tests::clock;
use jobledger_tests::stream::Dice;
use serde_json::json;

use super::{BEGIN_MS, SimulatedStore, excess, key, spend, spend_all};

/// Execution environments that call at the same time.
const MANY: usize = 64;
const MINUTE_MS: i64 = 60_000;

async fn environments(store: &SimulatedStore) -> Vec<StoredAccess> {
    join_all((0..MANY).map(|_| store.environment())).await
}

#[tokio::test(start_paused = true)]
async fn many_who_race_for_the_last_call_do_not_share_it() {
    for burst in [1, 7, 99] {
        let store = SimulatedStore::start(u64::from(burst));
        store.conditions(5, 0);
        let (key, environments) = (key(60, burst), environments(&store).await);
        // At first the whole burst passes; then one call more a second.
        for (millis, expected) in [(0, burst), (999, 0), (1_000, 1), (3_000, burst.min(2))] {
            let each = environments.iter().cycle().take(2 * MANY);
            let all = join_all(each.map(|environment| spend(environment, &key, millis))).await;
            let passed = all.iter().filter(|limit_status| limit_status.retry_after_seconds.is_none()).count();
            assert_eq!(u32::try_from(passed), Ok(expected), "{burst} at once, after {millis} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_steady_caller_gets_its_burst_and_its_rate() {
    let store = SimulatedStore::start(1);
    let (key, environment) = (key(600, 600), store.environment().await);
    assert_eq!(spend_all(&environment, &key, 0).await, 540);
    println!("600 a minute and at once: 540 at once, by {} writes", store.take_requests());
    // Twice as many calls as the rate allows, for ten minutes.
    let (mut passed, mut calls) = (0, 0);
    for millis in (0..10 * MINUTE_MS).step_by(50) {
        calls += 1;
        passed += u32::from(spend(&environment, &key, millis).await.retry_after_seconds.is_none());
    }
    let writes = store.take_requests();
    println!("{calls} calls at twice the rate: {passed} let through, by {writes} writes");
    assert!((5_990..=6_000).contains(&passed), "{passed} of 6,000");
    // Half as many calls as the rate allows: all pass, and one write serves many.
    let from = 20 * MINUTE_MS;
    for millis in (from..from + 10 * MINUTE_MS).step_by(200) {
        assert_eq!(spend(&environment, &key, millis).await.retry_after_seconds, None, "at {millis} ms");
    }
    let writes = store.take_requests();
    println!("3000 calls at half the rate, by {writes} writes");
    assert!(writes <= 150, "{writes} writes for 3,000 calls");
}

#[tokio::test(start_paused = true)]
async fn many_environments_get_most_of_the_rate() {
    // All environments together make this many calls a second; the rate allows 100.
    for (per_second, least_percent, most_writes_percent) in [(50, 100, 60), (90, 99, 40), (300, 85, 70)] {
        let store = SimulatedStore::start(2);
        let (key, environments) = (key(6_000, 6_000), environments(&store).await);
        let mut dice = Dice::new(per_second);
        let (lasts, mut came, mut times) = (MINUTE_MS, 0, Vec::new());
        for number in 0..60 * per_second {
            came += 1;
            let millis = i64::try_from(1_000 * number / per_second).expect("minutes");
            let limit_status = spend(dice.pick(&environments), &key, millis).await;
            if limit_status.retry_after_seconds.is_none() {
                times.push(BEGIN_MS + millis);
            }
        }
        let writes = store.take_requests();
        let passed = times.len();
        println!("{per_second} calls a second by 64: {passed} of {came} let through, by {writes} writes");
        assert_eq!(excess(6_000, 6_000, &times), 0);
        let due = came.min(6_000 + 100 * usize::try_from(lasts / 1_000).expect("seconds"));
        assert!(passed * 100 >= due * least_percent, "{passed} of {due}");
        let most_writes = u64::try_from(came * most_writes_percent / 100).expect("a count");
        assert!(writes <= most_writes, "{writes} writes for {came} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_refused_until_its_time_and_without_asking_the_store() {
    for (per_minute, burst) in [(60, 3), (600, 600), (7, 1), (1, 1)] {
        let store = SimulatedStore::start(3);
        let (key, environment) = (key(per_minute, burst), store.environment().await);
        spend_all(&environment, &key, 0).await;
        store.take_requests();
        let refused = spend(&environment, &key, 1).await;
        let seconds = i64::try_from(refused.retry_after_seconds.expect("refused")).expect("seconds");
        assert_eq!(refused.remaining, 0);
        let seconds_told = seconds;
        let seconds = i64::try_from(refused.next_in_seconds.expect("a time")).expect("seconds");
        assert!(seconds <= seconds_told);
        for millis in [1, 1_000 * (seconds - 1)] {
            assert!(spend(&environment, &key, millis).await.retry_after_seconds.is_some(), "{millis} ms");
        }
        assert_eq!(store.take_requests(), 0, "the environment knows that nothing is left");
        assert_eq!(spend(&environment, &key, 1 + 1_000 * seconds).await.retry_after_seconds, None);
        // After the time that the headers name, the bucket is full again.
        let full = i64::try_from(refused.full_in_seconds).expect("seconds");
        let limit_status = spend(&environment, &key, 10 * MINUTE_MS + 1_000 * (full + seconds)).await;
        assert!(limit_status.remaining + 1 >= burst - burst / 10, "{limit_status:?}");
    }
}

/// Calls steadily for a minute, by a clock that is off by so much; returns how many calls came and how many passed.
async fn calls(
    environment: &StoredAccess,
    key: &AccessKey,
    (from_ms, off_ms): (i64, i64),
    every_ms: i64,
) -> [u32; 2] {
    let (mut came, mut passed) = (0, 0);
    for millis in (from_ms..from_ms + MINUTE_MS).step_by(usize::try_from(every_ms).expect("a step")) {
        came += 1;
        passed += u32::from(spend(environment, key, millis + off_ms).await.retry_after_seconds.is_none());
        clock::pass(every_ms.unsigned_abs()).await;
    }
    [came, passed]
}

#[tokio::test(start_paused = true)]
async fn who_has_a_clock_that_is_ahead_takes_nothing_from_the_others() {
    for (per_minute, burst, off_ms, every_ms) in [
        (60, 1, 10_000, 3_100),
        (60, 5, 10_000, 2_500),
        (300, 5, 10_000, 500),
        (6_000, 1, 20, 50),
        (6_000, 60, 60_000, 100),
        (600, 600, 300_000, 250),
        (60, 5, -10_000, 2_500),
    ] {
        let store = SimulatedStore::start(4);
        let key = key(per_minute, burst);
        let [off, right] = [store.environment().await, store.environment().await];
        // Different paces: at a constant interval, one environment would learn nothing of the other's clock.
        let other_ms = every_ms + every_ms / 7;
        let both = [calls(&off, &key, (0, off_ms), every_ms), calls(&right, &key, (0, 0), other_ms)];
        let what = format!("{burst} of {per_minute}, {off_ms} ms off");
        for [came, passed] in join_all(both).await {
            println!("{what}: {passed} of {came}");
            // With a burst of 1, a call just after another is refused. Some more are, until the clocks are known.
            let least = if burst == 1 { came / 2 } else { came - 1 };
            assert!(passed >= least, "{what}: {passed} of {came}");
        }
        // Once the other is gone, they do not wait for its clock's time. A new environment does not wait, either.
        let late = store.environment().await;
        for environment in [&right, &late] {
            let [came, passed] = calls(environment, &key, (MINUTE_MS, 0), every_ms).await;
            assert!(passed + 1 >= came, "{what}, afterwards: {passed} of {came}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_gives_what_the_rate_gives_in_the_jump_and_no_more() {
    let store = SimulatedStore::start(5);
    let key = key(600, 600);
    let [jumping, other] = [store.environment().await, store.environment().await];
    assert_eq!(spend_all(&jumping, &key, 0).await, 540);
    assert_eq!(spend_all(&jumping, &key, MINUTE_MS).await, 540);
    for _ in 0..5 {
        assert_eq!(spend_all(&jumping, &key, 0).await, 0, "no time has passed");
        assert_eq!(spend_all(&other, &key, 0).await, 0);
        assert_eq!(spend_all(&jumping, &key, MINUTE_MS).await, 0);
    }
    clock::pass(1_000).await;
    assert_eq!(spend_all(&other, &key, 1_000).await, 10, "a second is a second, by all clocks");
    assert_eq!(spend_all(&jumping, &key, MINUTE_MS + 1_000).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_many_functions_gets_nearly_all_of_its_burst() {
    for (count, least) in [(1, 540), (8, 500), (64, 440)] {
        let store = SimulatedStore::start(11);
        let key = key(600, 600);
        let environments = join_all((0..count).map(|_| store.environment())).await;
        let mut passed = 0;
        // One call every 5 ms, to each environment in turn, until one refuses.
        for (environment, millis) in environments.iter().cycle().zip((0..).step_by(5)) {
            if spend(environment, &key, millis).await.retry_after_seconds.is_some() {
                break;
            }
            passed += 1;
        }
        println!("{count} functions: the first {passed} passed, by {} writes", store.take_requests());
        assert!(passed >= least, "{passed} of {count} functions");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_as_long_as_it_was_told_passes_wherever_it_calls() {
    let store = SimulatedStore::start(12);
    let key = key(60, 2);
    let [one, other] = [store.environment().await, store.environment().await];
    assert_eq!(spend_all(&one, &key, 0).await, 2);
    let mut now = 0;
    for _ in 0..15 {
        // One environment is always faster, and the other one is refused each time.
        now += 1_050;
        clock::pass(1_050).await;
        assert_eq!(spend(&one, &key, now).await.retry_after_seconds, None);
        assert!(spend(&other, &key, now).await.retry_after_seconds.is_some());
        let told = spend(&one, &key, now).await.next_in_seconds.expect("seconds");
        clock::pass(1_000 * told).await;
        now += i64::try_from(1_000 * told).expect("seconds");
        assert_eq!(spend(&other, &key, now).await.retry_after_seconds, None, "after {told} s");
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_as_told_do_not_all_come_at_once() {
    let store = SimulatedStore::start(13);
    let (key, environment) = (key(60, 1), store.environment().await);
    // The next call of each of 64 clients: as soon as an answer allows.
    let mut next = [0_i64; MANY];
    let (mut passed, mut refused) = (0, 0);
    for second in 0..30 {
        for at in next.iter_mut().filter(|at| **at <= 1_000 * second) {
            // If a call passes, the client calls again immediately.
            while *at <= 1_000 * second {
                match spend(&environment, &key, 1_000 * second).await.retry_after_seconds {
                    None => passed += 1,
                    Some(seconds) => {
                        refused += 1;
                        *at = 1_000 * (second + i64::try_from(seconds).expect("seconds"));
                    }
                }
            }
        }
        clock::pass(1_000).await;
    }
    println!("64 clients at one call a second: {passed} passed, {refused} refused");
    assert_eq!(passed, 30);
    assert!(refused <= 64 + 3 * 30, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_when_the_clock_goes_back() {
    let store = SimulatedStore::start(6);
    let (key, environment) = (key(600, 600), store.environment().await);
    for _ in 0..20 {
        spend(&environment, &key, MINUTE_MS).await;
    }
    store.take_requests();
    // A call slightly before the call that took the lease does not mean that the clock went back.
    for millis in [MINUTE_MS - 100, MINUTE_MS + 1, MINUTE_MS + 2_000] {
        spend(&environment, &key, millis).await;
    }
    assert_eq!(store.take_requests(), 0);
    for millis in [0, MINUTE_MS + 5_999] {
        assert_eq!(spend(&environment, &key, millis).await.retry_after_seconds, None);
        assert_eq!(store.take_requests(), 1, "what was on lease is over");
    }
    // Calls of an old lease do not add to a new one.
    assert_eq!(spend(&environment, &key, 20 * MINUTE_MS).await.remaining, 539);
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_moment_ago_do_not_come_on_top() {
    let store = SimulatedStore::start(7);
    let key = key(600, 600);
    let (saver, other) = (store.environment().await, store.environment().await);
    // The leases grow with the pace. Most calls of the last lease are unused.
    for millis in [[0; 63].as_slice(), &[5_000]].concat() {
        spend(&saver, &key, millis).await;
    }
    // Now the bucket is as full as it can be while a lease may be unused.
    let at_once = spend_all(&other, &key, 10_300).await;
    let leased = spend_all(&saver, &key, 10_300).await;
    assert!(leased > 30, "{leased} on lease");
    assert!(at_once + leased <= 600, "{at_once} and {leased} at once");
}

#[tokio::test(start_paused = true)]
async fn what_is_on_lease_is_off_the_bucket() {
    let store = SimulatedStore::start(10);
    let (key, environment) = (key(600, 600), store.environment().await);
    // Leases of 1, 2 and 4 calls. The last one comes from a bucket that is full again.
    for (millis, remaining) in [(0, 539), (0, 538), (0, 537), (1_000, 539), (1_000, 538), (1_000, 537)] {
        assert_eq!(spend(&environment, &key, millis).await.remaining, remaining, "after {millis} ms");
    }
    assert_eq!(store.take_requests(), 3);
}

/// The stored time at which the key's bucket is full, in microseconds since 1970.
fn full_at(store: &SimulatedStore, span: &str) -> i64 {
    let name = json!({ "owner": { "S": "somebody" }, "span": { "S": span } });
    let item =
        store.engine.call("GetItem", &json!({ "TableName": store.engine.table("USAGE_TABLE"), "Key": name }));
    item["Item"]["full_at"]["N"].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

#[tokio::test(start_paused = true)]
async fn a_time_that_no_clock_can_have_left_is_begun_anew_as_empty() {
    let store = SimulatedStore::start(8);
    let key = key(600, 600);
    spend(&store.environment().await, &key, 0).await;
    let table = store.engine.table("USAGE_TABLE");
    let span = format!("rate#{}#600/600", key.key_id);
    let name = json!({ "owner": { "S": "somebody" }, "span": { "S": &span } });
    for ahead_ms in [5 * MINUTE_MS, MINUTE_MS + 10 * MINUTE_MS + 1] {
        let update = json!({
            "TableName": table, "Key": name, "UpdateExpression": "SET full_at = :at",
            "ExpressionAttributeValues": { ":at": { "N": (1_000 * (BEGIN_MS + ahead_ms)).to_string() } },
        });
        store.engine.call("UpdateItem", &update);
        let environment = store.environment().await;
        assert_eq!(spend(&environment, &key, 0).await.retry_after_seconds, Some(1), "{ahead_ms}");
    }
    assert_eq!(full_at(&store, &span), 1_000 * (BEGIN_MS + MINUTE_MS - 6_000));
    assert_eq!(spend(&store.environment().await, &key, 100).await.retry_after_seconds, None);
}

#[tokio::test(start_paused = true)]
async fn a_changed_rate_holds_at_once_and_keys_do_not_disturb_each_other() {
    let store = SimulatedStore::start(9);
    let environment = store.environment().await;
    let few = key(60, 5);
    assert_eq!(spend_all(&environment, &few, 0).await, 5);
    assert_eq!(spend_all(&environment, &key(60, 3), 0).await, 3);
    assert_eq!(spend_all(&environment, &key(600, 600), 0).await, 540);
    // With the old key again, the bucket is as empty as before.
    assert_eq!(spend_all(&environment, &few, 2_000).await, 2);
    let other = AccessKey { key_id: jobledger::domain::KeyHash::of("another key").key_id(), ..few.clone() };
    assert_eq!(spend_all(&environment, &other, 2_000).await, 5);
    let free = AccessKey { rate_limit: None, ..few };
    store.take_requests();
    let limit_status = environment.spend(&free, super::at(0)).await;
    assert_eq!((limit_status.expect("an answer"), store.take_requests()), (None, 0));
}
