//! The expected counts, computed from the writes without the service's code.

use std::collections::BTreeMap;

use jobledger::counts::BOUNDS_MS;
use jobledger::domain::{Job, JobId, State, Status};
use jobledger::store::schema::OWNERS;
use serde_json::Value;

use crate::dynamo::{Item, text};
use crate::stream::{MESSAGES, Write};

const MINUTE_MS: i64 = 60_000;
/// The labels by which costs are summed.
const COSTS_BY: [&str; 2] = ["model", "team"];

/// The numbers of every bucket, by scope, bucket and type, and then by cell. Zeros are left out.
pub type Counts = BTreeMap<(String, String), BTreeMap<String, i64>>;

/// The expected counts after these writes: living jobs from the jobs that are left, the rest write by write.
pub fn recount(writes: &[Write]) -> Counts {
    let mut last: BTreeMap<JobId, Option<&Job>> = BTreeMap::new();
    let mut counts = Counts::new();
    for write in writes {
        let (old, new) = (write.old.as_ref().map(|head| &head.job), write.new.as_ref().map(|head| &head.job));
        if let Some(id) = old.or(new).map(|job| job.id) {
            last.insert(id, new);
        }
        let moved = match (old, new) {
            (Some(old), Some(new)) => {
                minute(old) != minute(new) || old.kind != new.kind || old.owner != new.owner
            }
            _ => true,
        };
        if let (Some(old), true) = (old, moved) {
            add(&mut counts, old, "removed", 1);
        }
        let Some(new) = new else {
            // Its last cost stays spent.
            if let Some(old) = old {
                add_costs(&mut counts, old);
            }
            continue;
        };
        if moved {
            add(&mut counts, new, "created", 1);
        }
        if moved || old.is_none_or(|old| old.status() != new.status()) {
            changed(&mut counts, old.filter(|_| !moved), new);
        }
    }
    for job in last.into_values().flatten() {
        add(&mut counts, job, &format!("alive:{}", job.status()), 1);
        add_slots(&mut counts, job);
        add_costs(&mut counts, job);
        add_failure(&mut counts, job);
        add_planned(&mut counts, job);
        let bytes = counts.entry((job.owner.to_string(), "total".to_owned())).or_default();
        *bytes.entry("bytes".to_owned()).or_default() += i64::try_from(job.bytes).unwrap_or(0);
    }
    nonzero(counts)
}

/// Adds the changes of a job that gets a new status, or appears.
fn changed(counts: &mut Counts, old: Option<&Job>, new: &Job) {
    let due = match old.map(|old| (&old.state, old.created_at)) {
        None => Some(new.created_at),
        Some((State::Queued { available_at }, created_at)) => Some((*available_at).max(created_at)),
        Some(_) => None,
    };
    if let (Some(due), Some(started_at)) = (due, new.state.started_at()) {
        measured(counts, new, "wait", (started_at.millis() - due.millis()).max(0));
    }
    if old.is_some_and(|old| old.status() == Status::Running) {
        let all = counts.entry(("*".to_owned(), format!("total@{}", new.kind))).or_default();
        *all.entry(format!("tries:{}", end_of_try(new))).or_default() += 1;
    }
    let Some(ended) = new.state.ended() else { return };
    add(counts, new, &format!("ended:{}", new.status()), 1);
    if new.status() == Status::Failed {
        let all = counts.entry(("*".to_owned(), format!("total@{}", new.kind))).or_default();
        *all.entry("fail".to_owned()).or_default() += 1;
    }
    if let Some(started_at) = ended.started_at {
        measured(counts, new, "run", (ended.completed_at.millis() - started_at.millis()).max(0));
    }
}

/// The word under which the attempt's end is counted, from the job after it.
fn end_of_try(job: &Job) -> String {
    let error = match &job.state {
        State::Failed(_, error) => Some(error),
        State::Queued { .. } => job.last_try.as_ref().and_then(|tried| tried.error.as_ref()),
        State::Running { .. } | State::Completed(_) | State::Cancelled(_) => return job.status().to_string(),
    };
    let code = error.and_then(|error| error.code.as_ref()).map(ToString::to_string);
    let known = ["lease_expired", "timeout", "handed_back"];
    code.filter(|code| known.contains(&code.as_str())).unwrap_or_else(|| "failed".to_owned())
}

fn measured(counts: &mut Counts, job: &Job, what: &str, millis: i64) {
    add(counts, job, &format!("count:{what}"), 1);
    add(counts, job, &format!("sum_ms:{what}"), millis);
    let bound =
        BOUNDS_MS.iter().filter(|bound| i64::try_from(**bound).is_ok_and(|bound| bound < millis)).count();
    let all = counts.entry(("*".to_owned(), format!("total@{}", job.kind))).or_default();
    *all.entry(format!("le:{what}:{bound}")).or_default() += 1;
    let letter = if what == "wait" { "w" } else { "r" };
    add_own(counts, job, &format!("{letter}{bound:02}"), 1);
}

fn minute(job: &Job) -> i64 {
    job.created_at.millis().div_euclid(MINUTE_MS)
}

/// Adds to all items that count the job.
fn add(counts: &mut Counts, job: &Job, cell: &str, by: i64) {
    let all = counts.entry(("*".to_owned(), format!("total@{}", job.kind))).or_default();
    *all.entry(cell.to_owned()).or_default() += by;
    add_own(counts, job, cell, by);
}

/// Adds to those of them that are the owner's.
fn add_own(counts: &mut Counts, job: &Job, cell: &str, by: i64) {
    let mut add = |name: String| {
        let cells = counts.entry((job.owner.to_string(), name)).or_default();
        *cells.entry(cell.to_owned()).or_default() += by;
    };
    add("total".to_owned());
    add(format!("total@{}", job.kind));
    for (word, span, _) in spans(job) {
        add(format!("{word}#{span}"));
        add(format!("{word}@{}#{span}", job.kind));
    }
}

/// Adds to the cells of the shorter spans: days in a month, hours in a day, minutes in an hour.
fn add_slots(counts: &mut Counts, job: &Job) {
    let letter = match job.status() {
        Status::Queued => 'q',
        Status::Running => 'r',
        Status::Completed => 'c',
        Status::Failed => 'f',
        Status::Cancelled => 'x',
    };
    for (word, span, slot) in spans(job) {
        // Minutes have their own items beside those of their hours.
        let word = if word == "hour" { "minutes" } else { word };
        for name in [format!("{word}#{span}"), format!("{word}@{}#{span}", job.kind)] {
            let cells = counts.entry((job.owner.to_string(), name)).or_default();
            *cells.entry(format!("{slot}{letter}")).or_default() += 1;
        }
    }
}

/// Adds a job's cost to the items of its model and its team, or to those without a name.
fn add_costs(counts: &mut Counts, job: &Job) {
    for label in COSTS_BY {
        let value = job.labels.as_map().get(label);
        if value.is_none() && job.cost.is_none() {
            continue;
        }
        let value = value.map_or("", String::as_str);
        let [(_, month, day), ..] = spans(job);
        let cells =
            counts.entry((job.owner.to_string(), format!("{label}-month#{month}#{value}"))).or_default();
        let micros = job.cost.map_or(0, |cost| i64::try_from(cost.micros()).unwrap_or(0));
        for (name, by) in [("jobs", 1), ("cost", micros)] {
            *cells.entry(name.to_owned()).or_default() += by;
        }
        for (letter, by) in [("j", 1), ("u", micros)] {
            *cells.entry(format!("{day}{letter}")).or_default() += by;
        }
    }
}

/// Adds a failed job to its group of failures, and a group to its owner's.
fn add_failure(counts: &mut Counts, job: &Job) {
    let State::Failed(_, error) = &job.state else { return };
    let known = MESSAGES.iter().find(|(message, _)| *message == error.message);
    let pattern = known.map_or(error.message.as_str(), |(_, pattern)| *pattern);
    let reason =
        error.code.as_ref().map_or_else(|| format!("message#{pattern}"), |code| format!("code#{code}"));
    let (owner, name) = (job.owner.to_string(), format!("failures#{}#{reason}", job.kind));
    let is_new = !counts.contains_key(&(owner.clone(), name.clone()));
    *counts.entry((owner.clone(), name)).or_default().entry("grouped".to_owned()).or_default() += 1;
    let groups = counts.entry((owner, "failures".to_owned())).or_default();
    *groups.entry("groups".to_owned()).or_default() += i64::from(is_new);
}

/// Adds a queued job that was not due at its last change to the spans of time in which it is due.
fn add_planned(counts: &mut Counts, job: &Job) {
    let State::Queued { available_at } = &job.state else { return };
    if *available_at <= job.updated_at {
        return;
    }
    let (letter, word) = if job.attempt == 0 { ('s', "scheduled") } else { ('t', "retrying") };
    let time = available_at.to_string();
    for (length, bucket) in [(7, "due-month"), (10, "due-day"), (13, "due-minutes")] {
        let (span, slot) = (&time[..length], &time[length + 1..length + 3]);
        let name = format!("{bucket}#{span}#{}", job.kind);
        *counts
            .entry((job.owner.to_string(), name))
            .or_default()
            .entry(format!("{slot}{letter}"))
            .or_default() += 1;
    }
    let all = counts.entry(("*".to_owned(), format!("total@{}", job.kind))).or_default();
    *all.entry(format!("planned:{word}")).or_default() += 1;
}

/// The buckets of a job's creation: a word, a span, and the place of the shorter span in it.
fn spans(job: &Job) -> [(&'static str, String, String); 3] {
    let time = job.created_at.to_string();
    [("month", 7), ("day", 10), ("hour", 13)]
        .map(|(word, length)| (word, time[..length].to_owned(), time[length + 1..length + 3].to_owned()))
}

fn nonzero(mut counts: Counts) -> Counts {
    for cells in counts.values_mut() {
        cells.retain(|_, value| *value != 0);
    }
    counts.retain(|_, cells| !cells.is_empty());
    counts
}

/// The counts in the items of a tallies table.
pub fn counts_of(items: &[Item]) -> Counts {
    let mut counts = Counts::new();
    for item in items {
        let bucket = text(item, "bucket").to_owned();
        let is_beside = text(item, "scope") == OWNERS
            || ["probe", "failed", "recount", "queue", "reaper"].contains(&bucket.as_str());
        if bucket.starts_with("checkpoint#") || is_beside {
            continue;
        }
        let number = |value: &Value| value["N"].as_str().and_then(|number| number.parse::<i64>().ok());
        let apart = ["revision", "idle_since", "idle_revision", "example_at", "expires_at"];
        let counted = item.iter().filter(|(name, _)| !apart.contains(&name.as_str()));
        let mut cells: BTreeMap<String, i64> = BTreeMap::new();
        for (name, value) in counted {
            // The codes of failures together: those of a type that left are one number.
            let name = if name.starts_with("fail:") { "fail" } else { name };
            *cells.entry(name.to_owned()).or_default() += number(value).unwrap_or(0);
        }
        counts.insert((text(item, "scope").to_owned(), bucket), cells);
    }
    nonzero(counts)
}
