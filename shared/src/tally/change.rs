//! One stream record: a job as it was and as it is; and by how much that moves which number.

use super::{Bucket, Cell, Granularity, Measure};
use crate::domain::{Job, State, Timestamp};
use crate::dynamo::schema::ALL_OWNERS;

/// A job before and after a write: `None` before it is created and after it is removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As it was.
    pub old: Option<Job>,
    /// As it is.
    pub new: Option<Job>,
}

/// By how much one number of one bucket moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Which owner's counts, or those of all.
    pub scope: String,
    /// Which span.
    pub bucket: Bucket,
    /// Which number.
    pub cell: Cell,
    /// By how much.
    pub by: i64,
}

/// All that a change moves.
///
/// A job that changes its type or the hour of its creation is counted as removed there and created here: so every
/// number that must never fall never does, and created less removed is alive in each bucket.
pub fn deltas(change: &Change) -> Vec<Delta> {
    let mut deltas = Vec::new();
    match (&change.old, &change.new) {
        (None, None) => {}
        (None, Some(new)) => entered(new, &mut deltas),
        (Some(old), None) => left(old, &mut deltas),
        (Some(old), Some(new)) if place(old) == place(new) => stayed(old, new, &mut deltas),
        (Some(old), Some(new)) => {
            left(old, &mut deltas);
            entered(new, &mut deltas);
        }
    }
    deltas
}

/// What decides in which numbers a job is counted, but for its status.
fn place(job: &Job) -> (&str, &str, Timestamp) {
    (job.owner.as_str(), job.kind.as_str(), Granularity::Hour.floor(job.created_at))
}

fn entered(new: &Job, deltas: &mut Vec<Delta>) {
    count(new, &Cell::Created(new.kind.clone()), 1, deltas);
    count(new, &Cell::Alive(new.status(), new.kind.clone()), 1, deltas);
    if let Some(started_at) = new.state.started_at() {
        measure(new, Measure::Wait, started_at.since(new.created_at), deltas);
    }
    ended(new, deltas);
}

fn left(old: &Job, deltas: &mut Vec<Delta>) {
    count(old, &Cell::Alive(old.status(), old.kind.clone()), -1, deltas);
    count(old, &Cell::Removed(old.kind.clone()), 1, deltas);
}

fn stayed(old: &Job, new: &Job, deltas: &mut Vec<Delta>) {
    if old.status() == new.status() {
        return;
    }
    count(old, &Cell::Alive(old.status(), old.kind.clone()), -1, deltas);
    count(new, &Cell::Alive(new.status(), new.kind.clone()), 1, deltas);
    if let (State::Queued { available_at }, Some(started_at)) = (&old.state, new.state.started_at()) {
        let due = (*available_at).max(old.created_at);
        measure(new, Measure::Wait, started_at.since(due), deltas);
    }
    ended(new, deltas);
}

fn ended(new: &Job, deltas: &mut Vec<Delta>) {
    if new.status().is_ended() {
        count(new, &Cell::Ended(new.status(), new.kind.clone()), 1, deltas);
    }
    if let Some(run_ms) = new.duration_ms() {
        measure(new, Measure::Run, run_ms, deltas);
    }
}

/// Moves a number in all buckets that a job belongs to.
fn count(job: &Job, cell: &Cell, by: i64, deltas: &mut Vec<Delta>) {
    let mut push = |scope: &str, bucket| {
        deltas.push(Delta { scope: scope.to_owned(), bucket, cell: cell.clone(), by });
    };
    push(ALL_OWNERS, Bucket::Total);
    push(job.owner.as_str(), Bucket::Total);
    for granularity in Granularity::ALL {
        push(job.owner.as_str(), Bucket::of(granularity, job.created_at));
    }
}

/// Adds a measurement: sums to every bucket, the histogram only where it is read, for the metrics of all owners.
fn measure(job: &Job, measure: Measure, millis: u64, deltas: &mut Vec<Delta>) {
    let kind = || job.kind.clone();
    count(job, &Cell::Count(measure, kind()), 1, deltas);
    count(job, &Cell::SumMs(measure, kind()), i64::try_from(millis).unwrap_or(i64::MAX), deltas);
    deltas.push(Delta {
        scope: ALL_OWNERS.to_owned(),
        bucket: Bucket::Total,
        cell: Cell::Histogram(measure, Measure::bound(millis), kind()),
        by: 1,
    });
}
