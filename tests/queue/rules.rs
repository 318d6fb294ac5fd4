//! The rules that must hold after every single write.

use jobledger::domain::Status;
use jobledger::domain::steps::MAX_UNHEARD;

use crate::clock;
use crate::observer::Observer;
use crate::stored::StoredHead;

/// Longest lease that a run's workers ask for, in milliseconds.
const MAX_LEASE_MS: i64 = 60_000;
/// Longest delay before another attempt, in milliseconds.
const MAX_BACKOFF_MS: i64 = 3_600_000;

/// A head was written.
pub(crate) fn head_changed(
    observer: &mut Observer,
    function: &'static str,
    id: &str,
    old: Option<&StoredHead>,
    new: Option<&StoredHead>,
) {
    let mut wrong = Vec::new();
    if let Some(new) = new {
        wrong.extend(at_rest(new));
    }
    match (old, new) {
        (None, Some(new)) => {
            if !["create-job", "ingest-jobs"].contains(&function) {
                wrong.push(format!("{function} made a job"));
            }
            if new.is_held() || new.attempt > 0 && function == "create-job" {
                wrong.push("it runs from the beginning".to_owned());
            }
        }
        (Some(old), None) => {
            if function != "delete-job" || !old.status.is_ended() {
                wrong.push(format!("{function} removed a job that is {}", old.status));
            }
        }
        (Some(old), Some(new)) => wrong.extend(step(observer, function, id, old, new)),
        (None, None) => {}
    }
    for what in wrong {
        observer.blame(format!("{id}: {what}"));
    }
}

/// The rules for each head by itself.
fn at_rest(new: &StoredHead) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{what}: {new}"));
        }
    };
    let (is_queued, is_running) = (new.status == Status::Queued, new.status == Status::Running);
    check(new.attempt <= new.max_attempts, "more tries than it may have");
    check(!is_queued || new.attempt < new.max_attempts, "it waits for a try that it may not have");
    check(new.queue.is_some() == is_queued, "only who waits is in the queue");
    check(new.available_at.is_some() == is_queued, "only who waits is due");
    check(is_running || new.until.is_none(), "only who runs has a lease");
    check(is_running || !new.has_slot, "only who runs has a slot");
    check(!new.has_slot || new.until.is_some(), "only who is held has a slot");
    check(!new.is_unacknowledged || new.until.is_some(), "only who is held has to be acknowledged");
    check(new.unheard <= MAX_UNHEARD, "too many tries that nobody acknowledged");
    check(new.until.is_none() || (new.token.is_some() && new.worker.is_some()), "a lease without a holder");
    if let (Some(until), Some(token)) = (new.until, &new.token) {
        let latest = clock::now().plus_millis(MAX_LEASE_MS);
        check(until <= latest, "a lease that is too long");
        check(Observer::deadline(token).is_none_or(|deadline| until <= deadline), "a lease beyond its try");
    }
    wrong
}

/// The rules for each step.
fn step(
    observer: &mut Observer,
    function: &'static str,
    id: &str,
    old: &StoredHead,
    new: &StoredHead,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{function}, {what}: {old} -> {new}"));
        }
    };
    let is_ingested = old.written_by != new.written_by;
    let is_step = old.status != new.status;
    check(is_ingested == (function == "ingest-jobs"), "only ingest writes all of a head");
    if is_ingested {
        check(old.status.reaches(new.status), "no such way");
        check(!old.is_held(), "somebody holds it");
        check(old.attempt <= new.attempt, "tries were forgotten");
        return wrong;
    }
    check(!is_step || old.status.may_become(new.status), "no such step");
    let begins = is_step && new.status == Status::Running;
    check(new.attempt == old.attempt + u32::from(begins), "each try counts once");
    check(new.max_attempts >= old.max_attempts || !is_step, "tries were taken away");
    check(new.updated_at >= old.updated_at || is_step, "an edit went back in time");
    if old.status == Status::Running && new.status == Status::Running {
        check(new.overall >= old.overall, "progress fell");
        check(new.token == old.token && new.worker == old.worker, "another holder");
        check(!old.has_slot || new.has_slot, "a slot was lost");
    }
    if old.status == Status::Running && new.status == Status::Queued {
        check(new.last_try == Some(old.attempt), "the try was forgotten");
    }
    if new.status == Status::Queued && old.status.is_ended() && old.was_started {
        check(new.last_try == Some(old.attempt), "the last try was forgotten");
    }
    if let Some(due) = new.available_at {
        check(due <= clock::now().plus_millis(MAX_BACKOFF_MS), "it waits for too long");
    }
    let by_its_rules = match function {
        "claim-jobs" => claimed(observer, id, old, new),
        "update-job" => changed(observer, id, old, new),
        "reap-leases" => reaped(old, new),
        "retry-job" => is_step && new.status == Status::Queued && old.status.is_ended(),
        "cancel-job" | "delete-job" => new.status == Status::Cancelled && is_step,
        _ => false,
    };
    check(by_its_rules, "it may not do this");
    if is_step && new.status == Status::Cancelled {
        observer.called_off.extend(old.token.clone().filter(|_| old.is_held()));
    }
    wrong
}

/// A claim takes a job that is due, gives a slot to a running job, or moves a job up.
fn claimed(observer: &mut Observer, id: &str, old: &StoredHead, new: &StoredHead) -> bool {
    let now = clock::now();
    if old.status == new.status {
        let is_adopted = old.is_held() && !old.has_slot && new.has_slot;
        let adopted = StoredHead { has_slot: true, ..old.clone() };
        let moved = StoredHead { queue: new.queue.clone(), ..old.clone() };
        return (is_adopted && *new == adopted) || (old.is_due(now) && *new == moved);
    }
    if !(new.is_held() && old.is_due(now) && new.overall == 0) {
        return false;
    }
    let token = new.token.clone().unwrap_or_default();
    if observer.tokens.insert(token, (id.to_owned(), new.attempt)).is_some() {
        observer.blame(format!("{id}: its token was another try's"));
    }
    let Some(of) = observer.types.get(&new.kind) else { return !new.has_slot };
    let Some(limit) = of.limit else { return !new.has_slot };
    // After a first limit, claims that began before it may take jobs without a slot, until it opens.
    if of.opens_at.is_some() && !new.has_slot {
        return true;
    }
    if of.is_paused {
        return false;
    }
    let is_open = of.opens_at.is_none();
    let held = observer.held(&new.kind).filter(|(_, seen)| is_open || seen.has_slot).count();
    if held > usize::try_from(limit).unwrap_or(usize::MAX) {
        observer.blame(format!("{id}: {held} of {} run, where {limit} may", new.kind));
    }
    new.has_slot
}

/// A change is an edit, or a report of the worker that holds the job.
fn changed(observer: &mut Observer, id: &str, old: &StoredHead, new: &StoredHead) -> bool {
    let token = old.token.clone().unwrap_or_default();
    let said = |what| old.is_held() && observer.said.contains(&(token.clone(), what));
    if old.status == new.status {
        let is_allowed = (old.until == new.until && old.overall == new.overall) || said("report");
        let is_report = old.until != new.until || old.is_unacknowledged != new.is_unacknowledged;
        *observer.renewals.entry(token).or_default() += u32::from(old.until != new.until);
        return is_allowed && (!is_report || (!new.is_unacknowledged && new.unheard == 0));
    }
    let is_handed_back = said("queued") && new.max_attempts == old.max_attempts + 1;
    let word = match new.status {
        Status::Completed if said("completed") => "completed",
        Status::Failed if said("failed") => "failed",
        Status::Queued if is_handed_back && new.is_due(clock::now()) => "queued",
        Status::Queued if said("failed") && old.attempt < old.max_attempts => "failed",
        Status::Queued | Status::Running | Status::Completed | Status::Failed | Status::Cancelled => {
            return false;
        }
    };
    if !observer.applied.insert((token, word)) {
        observer.blame(format!("{id}: one report ended two tries"));
    }
    true
}

/// The reaper ends attempts whose leases are over.
fn reaped(old: &StoredHead, new: &StoredHead) -> bool {
    let is_over = old.until.is_some_and(|until| until < clock::now());
    if old.is_unacknowledged && old.unheard < MAX_UNHEARD {
        let is_free = new.max_attempts == old.max_attempts + 1 && new.unheard == old.unheard + 1;
        return is_over && is_free && new.is_due(clock::now());
    }
    let is_last = old.attempt >= old.max_attempts;
    let next = if is_last { Status::Failed } else { Status::Queued };
    is_over && new.status == next && new.max_attempts == old.max_attempts
}

/// The count of a type's slots equals the slots that its jobs hold.
pub(crate) fn slots_are_counted(observer: &mut Observer, kind: &str) {
    let counted = observer.types.get(kind).map_or(0, |of| of.running);
    let held = observer.held(kind).filter(|(_, seen)| seen.has_slot).count();
    if i64::try_from(held) != Ok(counted) {
        observer.blame(format!("type {kind}: {counted} slots are counted, {held} are held"));
    }
}

/// When a type with a limit opens, each running job must have a slot.
pub(crate) fn all_that_runs_has_a_slot(observer: &mut Observer, kind: &str) {
    let without: Vec<_> =
        observer.held(kind).filter(|(_, seen)| !seen.has_slot).map(|(id, _)| id.clone()).collect();
    if !without.is_empty() {
        observer.blame(format!("type {kind} opens while {without:?} run without a slot"));
    }
}
