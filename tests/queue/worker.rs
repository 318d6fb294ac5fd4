//! Workers. They claim, report and end jobs; or they crash, or return when their lease is over.

use std::rc::Rc;

use jobledger::domain::{Status, Timestamp};
use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::stream::Dice;
use serde_json::{Value, json};

use crate::callers;
use crate::clock;
use crate::run::Run;

/// Most reports of an attempt before its end.
const MAX_REPORTS: usize = 4;
/// The last moment of a lease, in milliseconds.
const LAST_MOMENT_MS: u64 = 300;
/// Most attempts to send a report whose effect is unknown.
const MAX_TRIES: usize = 5;
/// Longest pause of a worker beyond its lease, in milliseconds: time for the reaper to come.
const PAUSE_MS: u64 = 40_000;

/// A job that a worker believes that it holds.
#[derive(Clone)]
pub(crate) struct Held {
    id: String,
    token: String,
    lease_ms: u64,
    /// The end of the lease, by the last answer.
    until: Timestamp,
}

/// Works until the run ends.
pub(crate) async fn work(run: Rc<Run>, name: String, mut dice: Dice) {
    while clock::now() < run.ends_at {
        clock::pass(dice.roll(12_000)).await;
        let longest = *dice.pick(&[1, 10, 30]);
        let lease_seconds = 10 + dice.roll(longest);
        let types = run.some_kinds(&mut dice);
        let acknowledges = dice.is_one_in(2);
        let body = json!({
            "worker_id": name, "types": types, "max": 1 + dice.roll(4), "lease_seconds": lease_seconds,
            "wait_seconds": if dice.is_one_in(20) { 1 + dice.roll(4) } else { 0 },
            "acknowledge": acknowledges,
        });
        let Some(reply) = run.functions.claim(&body).await else { continue };
        run.expect("a claim", &reply, &[200]);
        for job in reply.json["jobs"].as_array().into_iter().flatten() {
            run.functions.store.watched(|observer| observer.hand_out(&name, job));
            // The answer of a claim that promises a report may reach nobody.
            if acknowledges && dice.is_one_in(4) {
                continue;
            }
            let held = Held::of(job, lease_seconds * 1_000);
            if acknowledges {
                report_on(&run, &held, "report", json!({})).await;
            }
            run.go(hold(Rc::clone(&run), held, Dice::new(dice.roll(u64::MAX))));
        }
    }
}

impl Held {
    pub(crate) fn of(job: &Value, lease_ms: u64) -> Self {
        let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
        Self { id: text("job_id"), token: text("lease_token"), lease_ms, until: until_of(job) }
    }
}

/// The end of the lease, by this answer.
fn until_of(answer: &Value) -> Timestamp {
    let said = answer["lease_expires_at"].as_str().and_then(|text| Timestamp::parse(text).ok());
    said.unwrap_or_else(clock::now)
}

/// Works on a job, with or without mistakes.
async fn hold(run: Rc<Run>, mut held: Held, mut dice: Dice) {
    let reports = dice.below(MAX_REPORTS);
    for _ in 0..dice.below(1 + reports) {
        if dice.is_one_in(3) {
            // Reports in the last moment of the lease, while the reaper comes.
            clock::pass(held.until.since(clock::now()).saturating_sub(dice.roll(LAST_MOMENT_MS))).await;
            run.go(callers::reap_after(Rc::clone(&run), dice.roll(2 * LAST_MOMENT_MS)));
        } else {
            clock::pass(dice.roll(held.lease_ms)).await;
        }
        let report = match dice.roll(4) {
            0 => json!({ "progress": { "overall_progress": dice.roll(101) } }),
            1 => json!({ "progress": { "current_task": "s", "current_task_progress": dice.roll(101) } }),
            2 => json!({ "phase": "p", "cost_usd": "0.01" }),
            _ => json!({}),
        };
        let reply = report_on(&run, &held, "report", report).await;
        match reply {
            Some(reply) if reply.json["cancel"] == true || reply.status == 404 => return,
            Some(reply) if reply.status == 200 => held.until = until_of(&reply.json),
            Some(_) | None => {}
        }
    }
    clock::pass(dice.roll(held.lease_ms / 2)).await;
    match dice.roll(12) {
        // The worker crashes.
        0 | 1 => return,
        // The worker pauses, and returns with its old token.
        2 | 3 => clock::pass(held.lease_ms + dice.roll(PAUSE_MS)).await,
        _ => {}
    }
    let (word, body) = match dice.roll(10) {
        0 => ("queued", json!({ "status": "queued" })),
        1 => ("failed", json!({ "status": "failed", "error": { "message": "no" }, "retryable": false })),
        2..=4 => ("failed", json!({ "status": "failed", "error": { "message": "no" } })),
        _ => ("completed", result_of(&held)),
    };
    let said = end(&run, &held, word, body.clone()).await;
    if said == Some(200) && dice.is_one_in(3) {
        clock::pass(dice.roll(20_000)).await;
        twice(&run, &held, word, body).await;
    }
}

/// The result of a completed job. The token in it shows that its holder reported it.
fn result_of(held: &Held) -> Value {
    json!({ "status": "completed", "result": { "by": held.token } })
}

/// Completes a job that this worker holds.
pub(crate) async fn complete(run: &Run, held: &Held) -> Option<u16> {
    end(run, held, "completed", result_of(held)).await
}

/// Reports the end of an attempt until an answer tells its effect.
async fn end(run: &Run, held: &Held, word: &'static str, body: Value) -> Option<u16> {
    for _ in 0..MAX_TRIES {
        let reply = report_on(run, held, word, body.clone()).await;
        if let Some(reply) = reply.filter(|reply| reply.status < 500) {
            return Some(reply.status);
        }
        clock::pass(1_000).await;
    }
    None
}

/// Reports the same end once more, and then a different end.
async fn twice(run: &Run, held: &Held, word: &'static str, body: Value) {
    let is_still = || {
        run.functions.store.watched(|observer| {
            observer.heads.get(&held.id).is_some_and(|seen| {
                seen.status == Status::Completed && seen.token.as_deref() == Some(&held.token)
            })
        })
    };
    if word != "completed" || !is_still() {
        return;
    }
    let again = report_on(run, held, word, body).await;
    let other =
        report_on(run, held, "failed", json!({ "status": "failed", "error": { "message": "x" } })).await;
    // Meanwhile ingest may have changed the job, or a caller deleted it.
    if is_still() {
        let is_as_said = |reply: Option<Reply>, status| {
            reply.is_none_or(|reply| reply.status == status || reply.status >= 500)
        };
        if !is_as_said(again, 200) {
            run.blame(format!("{}: the same end again was not taken", held.id));
        }
        if !is_as_said(other, 409) {
            run.blame(format!("{}: it ended twice", held.id));
        }
    }
}

/// Reports, and compares the answer with the observed state of the job.
async fn report_on(run: &Run, held: &Held, word: &'static str, mut body: Value) -> Option<Reply> {
    let Held { id, token, .. } = held;
    body["lease_token"] = json!(token);
    let (held_before, applied_before, called_off_before, renewals_before) =
        run.functions.store.watched(|observer| {
            observer.said.insert((token.clone(), word));
            observer.said.insert((token.clone(), "report"));
            if observer.holds(id, token) {
                observer.in_time.insert((token.clone(), word));
            }
            (
                observer.holds(id, token),
                observer.applied.contains(&(token.clone(), word)),
                observer.called_off.contains(token),
                observer.renewals.get(token).copied().unwrap_or_default(),
            )
        });
    let request = Request::new("PATCH", &format!("/v1/jobs/{id}")).body(body.to_string());
    let reply = run.functions.call("update-job", &request).await;
    let Some(reply) = reply else {
        run.tell(format!("{id}: {word} by {}: cut off", crate::observer::tail(token)));
        return None;
    };
    let code = reply.json["code"].as_str().unwrap_or_default().to_owned();
    run.tell(format!("{id}: {word} by {}: {} {code}", crate::observer::tail(token), reply.status));
    run.expect("a report", &reply, &[200, 404, 409]);
    let blame = run.functions.store.watched(|observer| {
        let applied = observer.applied.contains(&(token.clone(), word));
        let called_off = observer.called_off.contains(token);
        let is_end = word != "report";
        // If an earlier report arrives late, it makes an expired lease valid again. Each accepted report also renews
        // the lease.
        let renewals = observer.renewals.get(token).copied().unwrap_or_default() - renewals_before;
        // The same end may have been sent before, in time, and arrive only now.
        let was_in_time = is_end && observer.in_time.contains(&(token.clone(), word));
        let held_since = held_before || was_in_time || renewals > u32::from(!is_end);
        match (reply.status, code.as_str()) {
            (200, _) if is_end && !applied => Some("an end was answered that never was"),
            (200, _) if is_end && !held_since && !applied_before => Some("a lost lease ended a try"),
            (200, _) if is_end => None,
            (200, _) if reply.json["cancel"] == true && !called_off => Some("nobody called it off"),
            (200, _) if reply.json["cancel"] == false && called_off_before => {
                Some("a cancellation was not told")
            }
            (200, _) if !held_since && !called_off => Some("a lost lease was renewed"),
            (409, _) if !is_end && called_off_before && observer.is_called_off(id, token) => {
                Some("a cancellation was not told")
            }
            (409, "lease_lost") if held_before && observer.holds(id, token) => {
                Some("a lease was lost that holds")
            }
            (409, "lease_lost") if applied && !applied_before && observer.is_last_try(id, token) => {
                Some("a report was refused that ended the try")
            }
            _ => None,
        }
    });
    if let Some(blame) = blame {
        run.blame(format!("{id}, {word} by {}: {blame}", crate::observer::tail(token)));
    }
    Some(reply)
}
