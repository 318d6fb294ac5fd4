//! One worker in normal conditions: it gets jobs in order.

use std::rc::Rc;

use jobledger_tests::alone::Request;
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};

use crate::callers::{self, Action};
use crate::clock;
use crate::run::Run;

/// Steps of a run.
const STEPS: usize = 40;
/// Jobs of a run with many: more than a claim reads.
const CROWD: usize = 140;
/// Most jobs of a claim.
const MOST: usize = 4;
/// Most jobs of a claim, in a run with many.
const MOST_OF_CROWD: usize = 10;
/// The changes that may come between two claims.
const HABITS: [Action; 4] = [Action::Cancel, Action::Retry, Action::Edit, Action::Ingest];

/// In turn, one worker claims and other callers change the waiting jobs.
pub(crate) async fn happen(run: &Rc<Run>, dice: &mut Dice, is_crowd: bool) {
    let most = if is_crowd { MOST_OF_CROWD } else { MOST };
    if is_crowd {
        callers::begin(run, CROWD, dice).await;
    }
    for _ in 0..STEPS {
        match dice.roll(8) {
            0 | 1 => callers::once(run, Action::Create, dice).await,
            2 | 3 => callers::once(run, *dice.pick(&HABITS), dice).await,
            4 => clock::pass(1 + dice.roll(20_000)).await,
            _ => claim(run, most, dice).await,
        }
    }
}

/// Claims, and compares the claimed jobs with the first ones that are due.
async fn claim(run: &Run, most: usize, dice: &mut Dice) {
    let (kinds, max) = (run.some_kinds(dice), 1 + dice.below(most));
    let now = clock::now();
    let expected: Vec<String> = run.functions.store.watched(|observer| {
        let due = observer.heads.iter().filter(|(_, seen)| kinds.contains(&seen.kind) && seen.is_due(now));
        let mut due: Vec<_> = due
            .map(|(id, seen)| {
                // Jobs of a call with many go by the time of their line, others by that in their id.
                let place = seen.arrival.as_ref().map(|arrival| format!("{arrival}#{id}"));
                (-seen.priority, seen.available_at, place.unwrap_or_else(|| id.clone()), id.clone())
            })
            .collect();
        due.sort_unstable();
        due.into_iter().take(max).map(|(.., id)| id).collect()
    });
    let body = json!({ "worker_id": "only", "types": kinds, "max": max });
    let reply = run.functions.claim(&body).await.expect("an answer");
    run.expect("a claim", &reply, &[200]);
    let jobs = reply.json["jobs"].as_array().cloned().unwrap_or_default();
    let got: Vec<&str> = jobs.iter().filter_map(|job| job["job_id"].as_str()).collect();
    if got != expected {
        run.blame(format!("the worker got {got:?}, where {expected:?} were next"));
    }
    for job in &jobs {
        end(run, job, dice).await;
    }
}

/// Ends the attempt of a claimed job, one way or another.
async fn end(run: &Run, job: &Value, dice: &mut Dice) {
    let (id, token) = (job["job_id"].as_str().unwrap_or_default(), &job["lease_token"]);
    let (word, mut body) = match dice.roll(4) {
        0 => ("failed", json!({ "status": "failed", "error": { "message": "no" } })),
        1 => ("queued", json!({ "status": "queued" })),
        _ => ("completed", json!({ "status": "completed", "result": { "by": token } })),
    };
    body["lease_token"] = token.clone();
    run.functions.store.watched(|observer| {
        observer.hand_out("only", job);
        observer.said.insert((token.as_str().unwrap_or_default().to_owned(), word));
    });
    let request = Request::new("PATCH", &format!("/v1/jobs/{id}")).body(body.to_string());
    let reply = run.functions.call("update-job", &request).await.expect("an answer");
    run.expect("a report", &reply, &[200]);
}
