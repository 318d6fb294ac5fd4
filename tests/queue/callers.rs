//! All callers that change jobs without working on them; and the reaper.

use std::rc::Rc;

use jobledger_tests::alone::Request;
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};

use crate::clock;
use crate::run::Run;

/// A change that callers make again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Cancel,
    Retry,
    Delete,
    Edit,
    Ingest,
    Limit,
    Pause,
    Reap,
}

impl Action {
    /// The actions that a run may have or lack, by chance.
    pub(crate) const SOMETIMES: [Self; 8] = [
        Self::Create,
        Self::Cancel,
        Self::Retry,
        Self::Delete,
        Self::Edit,
        Self::Ingest,
        Self::Limit,
        Self::Pause,
    ];
}

/// Repeats an action until the run ends.
pub(crate) async fn live(run: Rc<Run>, action: Action, mut dice: Dice) {
    // A reaper that comes often competes with late reports.
    let is_eager = action == Action::Reap && dice.is_one_in(3);
    loop {
        clock::pass(dice.roll(if is_eager { 3_000 } else { 16_000 })).await;
        if clock::now() >= run.ends_at {
            return;
        }
        once(&run, action, &mut dice).await;
    }
}

/// Does the action once.
pub(crate) async fn once(run: &Run, action: Action, dice: &mut Dice) {
    let id = run.some_job(dice);
    let job = |action: &str| format!("/v1/jobs/{}{action}", id.clone().unwrap_or_default());
    let (function, request) = match action {
        Action::Reap => {
            reap(run).await;
            return;
        }
        Action::Create if run.is_full() => return,
        Action::Create => {
            ("create-job", Request::new("POST", "/v1/jobs").body(new_job(run, dice).to_string()))
        }
        Action::Ingest => {
            let line = line(run, dice).to_string();
            ("ingest-jobs", Request::new("POST", "/v1/admin/ingest/jobs").body(line))
        }
        Action::Limit => {
            let path = format!("/v1/types/{}", dice.pick(&run.kinds));
            ("type-settings", Request::new("PUT", &path).body(settings(dice).to_string()))
        }
        Action::Pause => {
            let end = if dice.is_one_in(3) { "pause" } else { "resume" };
            let path = format!("/v1/types/{}/{end}", dice.pick(&run.kinds));
            ("type-settings", Request::new("POST", &path))
        }
        Action::Cancel | Action::Retry | Action::Delete | Action::Edit if id.is_none() => return,
        Action::Cancel => ("cancel-job", Request::new("POST", &job("/cancel"))),
        Action::Retry => ("retry-job", Request::new("POST", &job("/retry"))),
        Action::Delete => ("delete-job", Request::new("DELETE", &job(""))),
        Action::Edit => {
            let body = match dice.roll(4) {
                0 => json!({ "available_at": clock::now().plus_millis(dice.millis(30_000)).to_string() }),
                1 => json!({ "max_attempts": 1 + dice.roll(4), "timeout_seconds": 5 + dice.roll(40) }),
                2 => json!({ "payload": { "size": dice.roll(100) } }),
                _ => json!({ "priority": dice.roll(4) }),
            };
            let body = body.to_string();
            ("update-job", Request::new("PATCH", &job("")).body(body))
        }
    };
    let Some(reply) = run.functions.call(function, &request).await else { return };
    run.tell(format!("{function} {}: {}", id.unwrap_or_default(), reply.status));
    run.expect(function, &reply, &[200, 201, 404, 409]);
}

/// Creates the first jobs of a run.
pub(crate) async fn begin(run: &Run, jobs: usize, dice: &mut Dice) {
    let lines = (0..jobs).map(|number| {
        let mut job = new_job(run, dice);
        job["external_id"] = json!(format!("x{number}"));
        job["status"] = json!("queued");
        job.to_string()
    });
    let body = lines.collect::<Vec<_>>().join("\n");
    let request = Request::new("POST", "/v1/admin/ingest/jobs").body(body);
    let reply = run.functions.call("ingest-jobs", &request).await.expect("an answer");
    if reply.json["created"] != jobs {
        run.blame(format!("{jobs} jobs could not be created: {}", reply.text));
    }
}

/// The body of a new job.
pub(crate) fn new_job(run: &Run, dice: &mut Dice) -> Value {
    let mut body = json!({
        "type": dice.pick(&run.kinds), "priority": dice.roll(4), "max_attempts": 1 + dice.roll(4),
        "payload": { "size": dice.roll(100) },
    });
    if dice.is_one_in(3) {
        body["timeout_seconds"] = json!(5 + dice.roll(40));
    }
    if dice.is_one_in(4) {
        body["available_at"] = json!(clock::now().plus_millis(dice.millis(60_000)).to_string());
    }
    if dice.is_one_in(2) {
        body["external_id"] = json!(format!("x{}", dice.roll(6)));
    }
    body
}

/// A line of ingest: the state of a job in another system.
fn line(run: &Run, dice: &mut Dice) -> Value {
    let status = if dice.is_one_in(4) { *dice.pick(&["completed", "canceled"]) } else { "queued" };
    let now = clock::now();
    let mut line = json!({
        "external_id": format!("x{}", dice.roll(6)), "type": dice.pick(&run.kinds), "status": status,
        "priority": dice.roll(4), "max_attempts": 1 + dice.roll(3),
    });
    if status == "queued" {
        line["available_at"] = json!(now.plus_millis(dice.millis(40_000)).to_string());
    } else {
        line["completed_at"] = json!(now.to_string());
    }
    line
}

/// The settings of a type.
pub(crate) fn settings(dice: &mut Dice) -> Value {
    let mut settings = json!({ "backoff_seconds": dice.roll(20) });
    if !dice.is_one_in(5) {
        settings["max_concurrency"] = json!(1 + dice.roll(3));
    }
    if dice.is_one_in(4) {
        settings["timeout_seconds"] = json!(5 + dice.roll(60));
    }
    settings
}

/// Has the reaper look at all running jobs; returns whether it succeeded.
pub(crate) async fn reap(run: &Run) -> bool {
    let event = json!({ "id": "watch", "time": clock::now().to_string() });
    let answer = run.functions.until_cut(run.functions.function("reap-leases").invoke(&event)).await;
    run.tell(format!("reap-leases: {answer:?}"));
    matches!(answer, Some(Ok(answer)) if answer["whole"] == true && answer["errors"] == 0)
}

/// Has the reaper look at them after some time.
pub(crate) async fn reap_after(run: Rc<Run>, millis: u64) {
    clock::pass(millis).await;
    reap(&run).await;
}
