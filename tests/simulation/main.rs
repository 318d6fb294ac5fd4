//! A simulation: random histories of jobs, and random deliveries of their stream. The test compares every number with a
//! recount, and every list with a plain model.
//!
//! A seed determines a whole run. To repeat one: `JOBLEDGER_SIMULATION_SEED=7 cargo test -p jobledger-tests --test
//! simulation counts`. `JOBLEDGER_SIMULATION_RUNS` sets how many runs of each kind there are.

mod delivery;
mod deltas;
mod engine;
mod history;
mod lists;
mod model;
mod run;
mod service;
mod walks;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use jobledger_tests::stream::Dice;
use tokio::task::{JoinError, JoinSet, LocalSet};

use engine::FunctionSet;
use lists::Family;
use model::Asked;
use run::Run;

/// Names the one seed to run.
const SEED_VARIABLE: &str = "JOBLEDGER_SIMULATION_SEED";
/// Sets how many runs of each kind there are.
const RUNS_VARIABLE: &str = "JOBLEDGER_SIMULATION_RUNS";
/// Runs at the same time, of one kind.
const AT_ONCE: usize = 6;
/// The same for runs with many jobs, whose own work delays the others.
const CROWDS_AT_ONCE: usize = 2;
/// Lists within dates that a run counts.
const COUNTS: usize = 2;
/// Jobs of a run with many.
const CROWD_JOBS: usize = 320;
/// Lists that such a run reads.
const CROWD_LISTS: usize = 6;
/// Places that it reads in each of them.
const CROWD_PEEKS: usize = 2;

/// A seed, and the result of its run.
type Done = (u64, Result<(), JoinError>);
type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

#[expect(clippy::disallowed_methods, reason = "the edge: here the tests' environment comes in")]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}")))
}

/// Runs a kind of simulation this many times, if no variable says otherwise.
async fn simulate(
    kind: &str,
    runs: u64,
    at_once: usize,
    once: for<'a> fn(&'a FunctionSet, u64) -> Running<'a>,
) {
    let functions = Rc::new(FunctionSet::start().await);
    let seeds = match variable(SEED_VARIABLE) {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..variable(RUNS_VARIABLE).unwrap_or(runs),
    };
    let running = async {
        let mut running = JoinSet::new();
        for seed in seeds {
            if running.len() == at_once {
                ended(kind, running.join_next().await);
            }
            let functions = Rc::clone(&functions);
            running.spawn_local(async move {
                let run = tokio::task::spawn_local(async move { once(&functions, seed).await });
                (seed, run.await)
            });
        }
        while let Some(done) = running.join_next().await {
            ended(kind, Some(done));
        }
    };
    LocalSet::new().run_until(running).await;
}

fn ended(kind: &str, done: Option<Result<Done, JoinError>>) {
    let Some(Ok((seed, Err(error)))) = done else { return };
    let said: Box<dyn Any + Send> = error.into_panic();
    let said = said
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| said.downcast_ref::<&str>().map(ToString::to_string));
    panic!(
        "seed {seed}: {}\nrepeat it: {SEED_VARIABLE}={seed} cargo test -p jobledger-tests --test simulation {kind}",
        said.unwrap_or_default()
    );
}

/// Small histories, with the worst deliveries.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn counts_are_a_recount_after_any_deliveries() {
    simulate("counts_are", 1_300, AT_ONCE, |functions, seed| {
        Box::pin(async move {
            let mut run = Run::new(functions, seed);
            let steps = 3 + run.history.dice.below(13);
            let most_jobs = 2 + run.history.dice.below(10);
            let early = run.history.dice.below(steps);
            run.happen(early, most_jobs);
            run.deliver().await;
            run.happen(steps - early, most_jobs);
            run.settle().await;
        })
    })
    .await;
}

/// Small histories, listed in every way, also before all is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lists_are_the_models() {
    simulate("lists_are", 350, AT_ONCE, |functions, seed| {
        Box::pin(async move {
            let mut run = Run::new(functions, seed);
            run.calm();
            let most_jobs = 4 + run.history.dice.below(18);
            run.happen(2 * most_jobs, most_jobs);
            run.sync();
            if seed.is_multiple_of(4) {
                run.deliver().await;
                run.glance().await;
            }
            run.settle().await;
            run.list().await;
            run.count(COUNTS).await;
            if seed.is_multiple_of(16) {
                run.list_all().await;
            }
        })
    })
    .await;
}

/// Walks by cursor while jobs change.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn walks_meet_each_job_once_while_jobs_change() {
    simulate("walks_meet", 330, AT_ONCE, |functions, seed| {
        Box::pin(async move {
            let mut run = Run::new(functions, seed);
            walks::under_change(&mut run).await;
            if seed.is_multiple_of(4) {
                run.calm();
                run.settle().await;
                run.list().await;
            }
        })
    })
    .await;
}

/// Hundreds of jobs within minutes. Offsets lie among them, and are read from either end.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn crowds_are_listed_from_both_ends() {
    simulate("crowds_are", 8, CROWDS_AT_ONCE, |functions, seed| {
        Box::pin(async move {
            let mut run = Run::new(functions, seed);
            run.history.crowd();
            run.calm();
            run.fill(CROWD_JOBS);
            run.happen(CROWD_JOBS / 2, CROWD_JOBS);
            run.sync();
            run.settle().await;
            for _ in 0..CROWD_LISTS {
                let mut asked = Asked::random(&mut run.history);
                if run.history.dice.is_one_in(3) {
                    asked.filtered(&mut run.history);
                }
                for _ in 0..CROWD_PEEKS {
                    run.peek(&asked).await;
                }
            }
            let owner = run.history.owners[0].clone();
            for is_asc in [true, false] {
                run.walk(&Asked::rare(&owner, is_asc), Family::Cursor).await;
            }
            run.count(CROWD_LISTS).await;
            run.list_all().await;
        })
    })
    .await;
}

/// The same through the service's own functions: their writes are delivered, counted and listed.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_functions_write_is_listed_and_counted() {
    simulate("what_functions", 12, AT_ONCE, |functions, seed| {
        Box::pin(async move {
            let mut run = Run::new(functions, seed);
            service::live(&mut run, &mut Dice::new(seed)).await;
            run.settle().await;
            run.list().await;
        })
    })
    .await;
}
