//! A simulation of the work queue. Workers, the reaper and other callers run at once, over a store whose requests
//! are late, overtake each other, and fail. The clock is virtual, so minutes take milliseconds. After every single
//! write, the test checks the rules for each head and type that the write changed ([`rules`]).
//!
//! A seed determines a whole run. To repeat one and see all its events: `JOBLEDGER_QUEUE_SEED=7 cargo test -p
//! jobledger-tests --test queue no_try -- --nocapture`. `JOBLEDGER_QUEUE_RUNS` sets the number of runs of each kind.

mod callers;
mod clock;
mod functions;
mod limited;
mod observer;
mod order;
mod rules;
mod run;
mod store;
mod stored;
mod worker;

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use jobledger_tests::stream::Dice;
use tokio::task::LocalSet;

use run::Run;

/// Names the one seed to run.
const SEED_VARIABLE: &str = "JOBLEDGER_QUEUE_SEED";
/// Sets how many runs of each kind there are.
const RUNS_VARIABLE: &str = "JOBLEDGER_QUEUE_RUNS";

/// One run in this many has many jobs.
const CROWDED: u64 = 12;

/// The mistakes in a run, and all its events.
type Told = (Vec<String>, Vec<String>);

#[expect(clippy::disallowed_methods, reason = "the edge: here the tests' environment comes in")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

/// Runs a kind of simulation this many times, if no variable says otherwise.
fn simulate(kind: &str, runs: u64, once: fn(u64) -> Told) {
    if let Some(seed) = variable(SEED_VARIABLE) {
        let (wrong, log) = once(seed);
        println!("{}", log.join("\n"));
        assert!(wrong.is_empty(), "seed {seed}:\n{}", wrong.join("\n"));
        return;
    }
    let runs = variable(RUNS_VARIABLE).unwrap_or(runs);
    let (next, failed) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= runs || failed.load(Ordering::Relaxed) < seed {
                        return;
                    }
                    let (wrong, _) = once(seed);
                    if !wrong.is_empty() {
                        eprintln!("seed {seed}:\n{}", wrong.join("\n"));
                        failed.fetch_min(seed, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(
        failed == u64::MAX,
        "repeat it: {SEED_VARIABLE}={failed} cargo test -p jobledger-tests --test queue {kind} -- --nocapture"
    );
    println!("{runs} runs, seeds 0 to {}", runs.saturating_sub(1));
}

/// Runs a story on its own clock.
fn on_a_clock(story: impl Future<Output = Told>) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    LocalSet::new().block_on(&runtime, story)
}

/// Many workers, the reaper and other callers, in any conditions.
#[test]
fn no_try_has_two_holders_and_no_job_is_lost() {
    simulate("no_try", 1_500, |seed| {
        on_a_clock(async move {
            clock::begin(seed);
            let mut dice = Dice::new(seed);
            let (kinds, lasts_ms) = (*dice.pick(&[1, 1, 1, 2, 2, 3]), 10_000 + dice.millis(35_000));
            let run = Rc::new(Run::start(&mut dice, kinds, lasts_ms).await);
            let workers = *dice.pick(&[1, 2, 2, 3, 3, 5]);
            run.happen(&mut dice, workers).await;
            run.settle().await;
            run.told()
        })
    });
}

/// A caller limits a type while its jobs run. Once the type opens again, they count.
#[test]
fn jobs_that_run_when_their_type_is_limited_count() {
    simulate("jobs_that_run", 300, |seed| {
        on_a_clock(async move {
            clock::begin(seed);
            let mut dice = Dice::new(seed);
            let run = Rc::new(Run::start(&mut dice, 1, 60_000).await);
            limited::happen(&run, &mut dice).await;
            run.settle().await;
            run.told()
        })
    });
}

/// In normal conditions, one worker gets the highest priority first, then the first due.
#[test]
fn one_worker_gets_jobs_in_order() {
    simulate("one_worker", 200, |seed| {
        on_a_clock(async move {
            clock::begin(seed);
            let mut dice = Dice::new(seed);
            let is_crowd = seed.is_multiple_of(CROWDED);
            let kinds = if is_crowd { 1 } else { 1 + dice.below(3) };
            let run = Rc::new(Run::start(&mut dice, kinds, 0).await);
            order::happen(&run, &mut dice, is_crowd).await;
            run.settle().await;
            run.told()
        })
    });
}
