//! A type that is limited while its jobs run: each of them gets a slot, also those that late claims take.

use std::rc::Rc;

use jobledger_tests::alone::Request;
use jobledger_tests::stream::Dice;
use serde_json::json;

use crate::callers::{self, Action};
use crate::clock;
use crate::run::Run;
use crate::worker::{self, Held};

/// Jobs of a run.
const JOBS: usize = 5;
/// Latest time at which a caller limits the type, in milliseconds.
const EARLY_MS: u64 = 3_000;
/// About so long after that, claims without a slot may be under way, in milliseconds.
const SETTLES_MS: u64 = 29_000;
/// How long workers hold their jobs, in seconds: longer than that.
const LEASE_SECONDS: u64 = 45;

/// Workers take what is there, the type is limited, and all come for more at the moment that no late claim is left.
pub(crate) async fn happen(run: &Rc<Run>, dice: &mut Dice) {
    if dice.is_one_in(3) {
        return first_jobs(run, dice).await;
    }
    callers::begin(run, JOBS, dice).await;
    run.begin_weather();
    for number in 0..4 {
        run.go(hold(Rc::clone(run), format!("w{number}"), Dice::new(dice.roll(u64::MAX))));
    }
    run.go(limit(Rc::clone(run), Dice::new(dice.roll(u64::MAX))));
    for action in [Action::Cancel, Action::Retry, Action::Create, Action::Reap] {
        run.go(callers::live(Rc::clone(run), action, Dice::new(dice.roll(u64::MAX))));
    }
    run.all_have_stopped().await;
}

/// The type has no jobs yet. At the same time, callers create jobs, workers claim them, and a caller limits the type.
async fn first_jobs(run: &Rc<Run>, dice: &mut Dice) {
    run.begin_weather();
    run.go(limit(Rc::clone(run), Dice::new(dice.roll(u64::MAX))));
    for number in 0..4 {
        let (creator, worker) = (Rc::clone(run), Rc::clone(run));
        let (mut luck, mut dice) = (Dice::new(dice.roll(u64::MAX)), Dice::new(dice.roll(u64::MAX)));
        run.go(async move {
            clock::pass(luck.roll(EARLY_MS)).await;
            callers::once(&creator, Action::Create, &mut luck).await;
        });
        run.go(async move {
            for _ in 0..5 {
                clock::pass(dice.roll(EARLY_MS / 3)).await;
                claim(&worker, &format!("w{number}"), &mut dice).await;
            }
        });
    }
    run.all_have_stopped().await;
}

/// A caller limits the type. Often it removes the limit, and sets it again.
async fn limit(run: Rc<Run>, mut dice: Dice) {
    clock::pass(dice.roll(EARLY_MS)).await;
    let unlimited = json!({ "backoff_seconds": 1 });
    let limited = json!({ "backoff_seconds": 1, "max_concurrency": 1 + dice.roll(3) });
    let mut thoughts = vec![limited.clone()];
    if dice.is_one_in(3) {
        thoughts = vec![limited.clone(), unlimited, limited];
    }
    for settings in thoughts {
        let request = Request::new("PUT", "/v1/types/a").body(settings.to_string());
        if let Some(reply) = run.functions.call("type-settings", &request).await {
            run.expect("settings", &reply, &[200]);
        }
        clock::pass(dice.roll(EARLY_MS)).await;
    }
}

/// A worker that holds its jobs until after the type has opened.
async fn hold(run: Rc<Run>, name: String, mut dice: Dice) {
    let mut held = Vec::new();
    // Some come early, and some come again soon; all come when it opens.
    for wait_ms in [dice.roll(2 * EARLY_MS), dice.roll(EARLY_MS), SETTLES_MS - dice.roll(2 * EARLY_MS)] {
        clock::pass(wait_ms).await;
        held.extend(claim(&run, &name, &mut dice).await);
    }
    for _ in 0..6 {
        clock::pass(dice.roll(1_500)).await;
        held.extend(claim(&run, &name, &mut dice).await);
    }
    for held in held {
        if !dice.is_one_in(4) {
            worker::complete(&run, &held).await;
        }
    }
}

async fn claim(run: &Run, name: &str, dice: &mut Dice) -> Vec<Held> {
    let body = json!({
        "worker_id": name, "types": run.kinds, "max": 1 + dice.roll(2), "lease_seconds": LEASE_SECONDS,
    });
    let Some(reply) = run.functions.claim(&body).await else { return Vec::new() };
    run.expect("a claim", &reply, &[200]);
    let jobs = reply.json["jobs"].as_array().cloned().unwrap_or_default();
    run.functions.store.watched(|observer| jobs.iter().for_each(|job| observer.hand_out(name, job)));
    jobs.iter().map(|job| Held::of(job, LEASE_SECONDS * 1_000)).collect()
}
