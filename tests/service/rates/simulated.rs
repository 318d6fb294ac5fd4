//! Random runs on a virtual clock. Environments rest, call seldom or often, freeze, and die with unused leases.
//! The store is late, loses answers and throttles. The clocks agree or jump.
//!
//! `JOBLEDGER_RATES_SEED=7` repeats one run; `JOBLEDGER_RATES_RUNS` sets how many there are.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use futures_util::future::join_all;
use jobledger::access::AccessControl;
use jobledger::domain::AccessKey;
use jobledger_tests::clock;
use jobledger_tests::stream::Dice;
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::{BEGIN_MS, SimulatedStore, at, excess, key};

/// Names the one seed to run.
const SEED_VARIABLE: &str = "JOBLEDGER_RATES_SEED";
/// Sets how many runs there are.
const RUNS_VARIABLE: &str = "JOBLEDGER_RATES_RUNS";
/// Runs, if no variable says otherwise.
const RUNS: u64 = 60;
/// Longest jump of a clock, in milliseconds.
const JUMP_MS: u64 = 60_000;

/// The traffic of all environments for a while.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Rest,
    Trickle,
    Steady,
    Flood,
}

/// A run.
struct Run {
    store: SimulatedStore,
    key: AccessKey,
    began: Instant,
    /// The end of each period of traffic, in milliseconds.
    moods: Vec<(i64, Mood)>,
    jumps: bool,
    seen: RefCell<Seen>,
    dice: RefCell<Dice>,
}

/// The results of a run's calls.
#[derive(Default)]
struct Seen {
    /// The time of each call that passed: by its environment's clock, and by the true clock.
    passed: Vec<(i64, i64)>,
    /// The time of each call.
    came: Vec<i64>,
    failed: u64,
}

/// Sums of many runs.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: u64,
    passed: u64,
    /// How many of these calls one bucket without leases would allow.
    ideal: u64,
    failed: u64,
    requests: u64,
}

#[expect(clippy::disallowed_methods, reason = "the edge: here the tests' environment comes in")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

impl Run {
    fn start(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        // The SDK draws its waits from this generator.
        fastrand::seed(seed);
        let &(per_minute, burst) = dice.pick(&[
            (60, 1),
            (60, 7),
            (600, 99),
            (600, 100),
            (600, 600),
            (600, 1_800),
            (6_000, 100),
            (6_000, 1_000),
            (7, 150),
        ]);
        let store = SimulatedStore::start(dice.roll(u64::MAX));
        let &(most_ms, wrong_one_in) = dice.pick(&[(0, 0), (5, 0), (40, 0), (40, 30), (900, 10)]);
        store.conditions(most_ms, wrong_one_in);
        let (mut moods, mut until) = (Vec::new(), 0);
        for _ in 0..12 {
            let mood = *dice.pick(&[Mood::Rest, Mood::Trickle, Mood::Trickle, Mood::Steady, Mood::Flood]);
            until += dice.millis(match mood {
                Mood::Rest => 60_000,
                Mood::Trickle | Mood::Steady => 8_000,
                Mood::Flood => 1_500,
            });
            moods.push((until, mood));
        }
        let jumps = dice.is_one_in(3);
        let (key, began) = (key(per_minute, burst), Instant::now());
        Self { store, key, began, moods, jumps, seen: RefCell::default(), dice: RefCell::new(dice) }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).expect("a run is short")
    }

    fn mood(&self) -> Option<(i64, Mood)> {
        let now_ms = self.now_ms();
        self.moods.iter().copied().find(|(until, _)| now_ms < *until)
    }

    fn roll(&self, sides: u64) -> u64 {
        self.dice.borrow_mut().roll(sides)
    }

    /// This many calls at once.
    async fn call(&self, environment: &impl AccessControl, offset_ms: i64, times: u64) {
        let calls = (0..times).map(|_| async {
            let true_ms = self.now_ms();
            let now = at(true_ms + offset_ms);
            self.seen.borrow_mut().came.push(now.millis());
            match environment.spend(&self.key, now).await {
                Ok(limit_status) => match limit_status.expect("a limit").retry_after_seconds {
                    None => self.seen.borrow_mut().passed.push((now.millis(), BEGIN_MS + true_ms)),
                    Some(seconds) => assert!(seconds > 0),
                },
                Err(_) => self.seen.borrow_mut().failed += 1,
            }
        });
        join_all(calls).await;
    }

    /// The life of one environment, and of its successors.
    async fn live(&self) {
        let mut environment = self.store.environment().await;
        let mut offset_ms = 0;
        while let Some((until, mood)) = self.mood() {
            let (calls, pause_ms) = match mood {
                Mood::Rest => (0, u64::try_from(until - self.now_ms()).unwrap_or(0) + self.roll(50)),
                Mood::Trickle if self.roll(3) > 0 => (0, self.roll(3_000)),
                Mood::Trickle => (self.roll(40), self.roll(4_000)),
                Mood::Steady => (1, self.roll(1_000)),
                Mood::Flood => (1 + self.roll(12), self.roll(300)),
            };
            // Some calls come at the same time, others one after the other.
            let at_once = 1 + self.roll(calls + 1);
            for _ in 0..calls / at_once {
                self.call(&environment, offset_ms, at_once).await;
            }
            clock::pass(pause_ms).await;
            if self.roll(50) == 0 {
                clock::pass(self.roll(15_000)).await;
            }
            if self.roll(60) == 0 {
                environment = self.store.environment().await;
            }
            if self.jumps && self.roll(20) == 0 {
                offset_ms = *self.dice.borrow_mut().pick(&[0, 0, 60_000, 1_000, -1_000, -60_000]);
            }
        }
    }

    /// The run's mistakes, and its sums.
    fn told(&self) -> (Vec<String>, Sums) {
        let rate_limit = self.key.rate_limit.expect("a limit");
        let (per_minute, burst) = (rate_limit.per_minute(), rate_limit.burst());
        let mut seen = self.seen.borrow_mut();
        let mut wrong = Vec::new();
        let (mut by_own, mut by_true): (Vec<i64>, Vec<i64>) = seen.passed.iter().copied().unzip();
        by_own.sort_unstable();
        by_true.sort_unstable();
        // If clocks differ, the fastest one counts for all.
        let too_many = if self.jumps { 0 } else { excess(per_minute, burst, &by_own) };
        if too_many > 0 {
            wrong.push(format!("{too_many}/60000 calls too many for {per_minute} a minute, {burst} at once"));
        }
        // Clocks that differ may add, once, the rate's share of the difference.
        let apart_ms = if self.jumps { i64::try_from(2 * JUMP_MS).expect("two minutes") } else { 0 };
        let too_many = excess(per_minute, burst, &by_true) - i64::from(per_minute) * apart_ms;
        if too_many > 0 {
            wrong.push(format!("{too_many}/60000 calls too many by the true clock"));
        }
        seen.came.sort_unstable();
        let (mut full_at, mut ideal) = (0, 0);
        for came in seen.came.iter().map(|millis| jobledger::domain::Timestamp::from_millis(*millis)) {
            let after = rate_limit.taken(full_at, 1, came);
            if after <= 1_000 * came.millis() + rate_limit.fill_us() {
                (full_at, ideal) = (after, ideal + 1);
            }
        }
        let count = |length: usize| u64::try_from(length).expect("a count");
        let sums = Sums {
            calls: count(seen.came.len()),
            passed: count(seen.passed.len()),
            ideal,
            failed: seen.failed,
            requests: self.store.take_requests(),
        };
        (wrong, sums)
    }
}

fn once(seed: u64) -> (Vec<String>, Sums) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), async move {
        let run = Rc::new(Run::start(seed));
        let environments = *run.dice.borrow_mut().pick(&[1, 3, 8, 64]);
        join_all((0..environments).map(|_| run.live())).await;
        run.told()
    })
}

#[test]
fn no_more_calls_pass_than_the_rate_allows() {
    if let Some(seed) = variable(SEED_VARIABLE) {
        let (wrong, sums) = once(seed);
        println!("{sums:?}");
        assert!(wrong.is_empty(), "seed {seed}: {wrong:?}");
        return;
    }
    let runs = variable(RUNS_VARIABLE).unwrap_or(RUNS);
    let (next, all) = (AtomicU64::new(0), Mutex::new((Vec::new(), Sums::default())));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs {
                        return;
                    }
                    let (wrong, sums) = once(seed);
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0.extend(wrong.into_iter().map(|wrong| format!("{SEED_VARIABLE}={seed}: {wrong}")));
                    all.1.add(sums);
                }
            });
        }
    });
    let (wrong, sums) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{runs} runs: {sums:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Leases must save writes, and must not waste calls.
    assert!(sums.passed * 4 >= sums.ideal * 3, "{sums:?}");
    assert!(sums.requests * 2 <= sums.calls, "{sums:?}");
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.passed += other.passed;
        self.ideal += other.ideal;
        self.failed += other.failed;
        self.requests += other.requests;
    }
}
