//! One stream record: a job as it was and as it is; and by how much that moves which number.

use super::failure_codes::code_of;
use super::failures::Example;
use crate::counts::{Bucket, Cell, CostBy, Granularity, Group, Measure, Place, TryEnd};
use crate::domain::{FailureGroup, Job, MicroDollars, State, Status, Timestamp, Wait};
use crate::store::schema::ALL_OWNERS;

/// The spans by which jobs are counted that were not due: so the sum of all later ones takes few reads.
pub(crate) const PLANNED_BY: [Granularity; 3] = [Granularity::Minute, Granularity::Hour, Granularity::Day];

/// A job before and after a write: `None` before it is created and after it is removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As it was.
    pub old: Option<Job>,
    /// As it is.
    pub new: Option<Job>,
}

/// By how much one number moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Which owner's counts, or those of all.
    pub scope: String,
    /// Which item of them.
    pub place: Place,
    /// Which number of that item.
    pub cell: Cell,
    /// By how much.
    pub by: i64,
    /// The job that is counted, if the item shows the newest.
    pub example: Option<Box<Example>>,
    /// The code of the failure that is counted, if the item counts failures by code.
    pub code: Option<String>,
}

/// All that a change moves.
///
/// A job that changes its type or the minute of its creation is counted as removed there and created here: so every
/// number that must never fall never does, and created less removed is alive in each bucket.
pub fn deltas(change: &Change) -> Vec<Delta> {
    let mut deltas = Vec::new();
    match (&change.old, &change.new) {
        (None, None) => {}
        (None, Some(new)) => {
            entered(new, &mut deltas);
            spent(new, 1, &mut deltas);
            stored(new, new.bytes, 0, &mut deltas);
        }
        // Its cost stays spent.
        (Some(old), None) => {
            left(old, &mut deltas);
            stored(old, 0, old.bytes, &mut deltas);
        }
        (Some(old), Some(new)) => {
            if home(old) == home(new) {
                stayed(old, new, &mut deltas);
            } else {
                left(old, &mut deltas);
                entered(new, &mut deltas);
            }
            stored(new, new.bytes, old.bytes, &mut deltas);
            if spending(old) != spending(new) {
                spent(old, -1, &mut deltas);
                spent(new, 1, &mut deltas);
            }
        }
    }
    regrouped(change, &mut deltas);
    replanned(change, &mut deltas);
    deltas
}

/// Moves a job between the spans of time in which jobs are due. A job that was due when it was last changed is in none.
///
/// A job leaves the spans that its old image tells. So each span is right whoever wrote the job, and a mistake in one is
/// over when its time has come: only spans of the future are read.
fn replanned(change: &Change, deltas: &mut Vec<Delta>) {
    let plan = |job: &Job| Some((job.owner.clone(), job.kind.clone(), Wait::planned(job)?));
    let (old, new) = (change.old.as_ref().and_then(plan), change.new.as_ref().and_then(plan));
    if old == new {
        return;
    }
    for (job, plan, by) in [(&change.old, old, -1), (&change.new, new, 1)] {
        let (Some(job), Some((_, kind, (due, wait)))) = (job, plan) else { continue };
        for granularity in PLANNED_BY {
            let place = Place::new(granularity.container_of(due), Group::Planned(kind.clone()));
            deltas.push(own(job, place, Cell::Planned(granularity.slot(due), wait), by));
        }
        count_everywhere(job, Cell::AllPlanned(wait), by, deltas);
    }
}

/// Moves a job from the group of failures that it was in to the one that it is in.
fn regrouped(change: &Change, deltas: &mut Vec<Delta>) {
    let (old, new) = (change.old.as_ref().and_then(failure), change.new.as_ref().and_then(failure));
    if old == new {
        return;
    }
    for (job, group, by) in [(&change.old, old, -1), (&change.new, new, 1)] {
        if let (Some(job), Some(group)) = (job, group) {
            let example = if by > 0 { Example::of(job).map(Box::new) } else { None };
            let place = Place::new(Bucket::Total, group);
            deltas.push(Delta { example, ..own(job, place, Cell::Grouped, by) });
        }
    }
}

/// The group of failures that a job is in; `None`: it has not failed.
fn failure(job: &Job) -> Option<Group> {
    let State::Failed(_, error) = &job.state else { return None };
    Some(Group::Failures(job.kind.clone(), FailureGroup::of(error)))
}

/// The values that decide in which numbers a job is counted, except for its status.
fn home(job: &Job) -> (&str, &str, Timestamp) {
    (job.owner.as_str(), job.kind.as_str(), Granularity::Minute.floor(job.created_at))
}

/// The values that decide how much a job adds to which costs.
fn spending(job: &Job) -> (&str, Timestamp, [Option<&str>; 2], Option<MicroDollars>) {
    let labels = CostBy::ALL.map(|by| job.labels.get(by.label()));
    (job.owner.as_str(), Granularity::Day.floor(job.created_at), labels, job.cost)
}

fn entered(new: &Job, deltas: &mut Vec<Delta>) {
    count(new, Cell::Created, 1, deltas);
    alive(new, new.status(), 1, deltas);
    if let Some(started_at) = new.state.started_at() {
        measure(new, Measure::Wait, started_at.since(new.created_at), deltas);
    }
    ended(new, deltas);
}

fn left(old: &Job, deltas: &mut Vec<Delta>) {
    alive(old, old.status(), -1, deltas);
    count(old, Cell::Removed, 1, deltas);
}

fn stayed(old: &Job, new: &Job, deltas: &mut Vec<Delta>) {
    if old.status() == new.status() {
        return;
    }
    alive(old, old.status(), -1, deltas);
    alive(new, new.status(), 1, deltas);
    if let (State::Queued { available_at }, Some(started_at)) = (&old.state, new.state.started_at()) {
        let due = (*available_at).max(old.created_at);
        measure(new, Measure::Wait, started_at.since(due), deltas);
    }
    if let Some(end) = end_of_try(old, new) {
        count_everywhere(new, Cell::Tries(end), 1, deltas);
    }
    ended(new, deltas);
}

/// How the try ended that a step ends; `None`: it ends none.
fn end_of_try(old: &Job, new: &Job) -> Option<TryEnd> {
    if old.status() != Status::Running {
        return None;
    }
    match &new.state {
        State::Running { .. } => None,
        State::Completed(_) => Some(TryEnd::Completed),
        State::Cancelled(_) => Some(TryEnd::Cancelled),
        State::Failed(_, error) => Some(TryEnd::of_error(Some(error))),
        State::Queued { .. } => {
            Some(TryEnd::of_error(new.last_try.as_ref().and_then(|tried| tried.error.as_ref())))
        }
    }
}

fn ended(new: &Job, deltas: &mut Vec<Delta>) {
    if new.status().is_ended() {
        let cell = Cell::Ended(new.status());
        let place = Place::new(Bucket::Total, Group::Type(new.kind.clone()));
        deltas.push(Delta { code: code_of(new), ..everywhere(place, cell, 1) });
        count_own(new, cell, 1, deltas);
    }
    if let Some(run_ms) = new.duration_ms() {
        measure(new, Measure::Run, run_ms, deltas);
    }
}

/// Moves a number in all items that a job belongs to.
fn count(job: &Job, cell: Cell, by: i64, deltas: &mut Vec<Delta>) {
    count_everywhere(job, cell, by, deltas);
    count_own(job, cell, by, deltas);
}

/// Moves it in the total of the job's type over all owners.
fn count_everywhere(job: &Job, cell: Cell, by: i64, deltas: &mut Vec<Delta>) {
    let place = Place::new(Bucket::Total, Group::Type(job.kind.clone()));
    deltas.push(everywhere(place, cell, by));
}

/// Moves it in all items of the job's owner.
fn count_own(job: &Job, cell: Cell, by: i64, deltas: &mut Vec<Delta>) {
    for bucket in buckets(job) {
        for group in [Group::All, Group::Type(job.kind.clone())] {
            deltas.push(own(job, Place::new(bucket, group), cell, by));
        }
    }
}

/// The same for jobs that are there, which each bucket also tells by the shorter spans in it.
fn alive(job: &Job, status: Status, by: i64, deltas: &mut Vec<Delta>) {
    count(job, Cell::Alive(status), by, deltas);
    for granularity in Granularity::BUCKETS {
        let Some(finer) = granularity.finer() else { continue };
        let cell = Cell::AliveIn(finer.slot(job.created_at), status);
        let bucket = finer.container_of(job.created_at);
        for group in [Group::All, Group::Type(job.kind.clone())] {
            deltas.push(own(job, Place::new(bucket, group), cell, by));
        }
    }
}

/// Counts the bytes that came, less those that went: for the owner as a whole, as a quota is.
fn stored(job: &Job, came: u64, went: u64, deltas: &mut Vec<Delta>) {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    if came != went {
        let place = Place::new(Bucket::Total, Group::All);
        deltas.push(own(job, place, Cell::Bytes, number(came) - number(went)));
    }
}

/// Adds a measurement.
fn measure(job: &Job, measure: Measure, millis: u64, deltas: &mut Vec<Delta>) {
    count(job, Cell::Count(measure), 1, deltas);
    count(job, Cell::SumMs(measure), i64::try_from(millis).unwrap_or(i64::MAX), deltas);
    let bound = Measure::bound(millis);
    count_everywhere(job, Cell::Histogram(measure, bound), 1, deltas);
    count_own(job, Cell::Within(measure, bound), 1, deltas);
}

/// Adds what a job cost to its model and its team, or takes it off again. One with neither cost nor label is no part
/// of these; a cost without a label is a cost all the same.
fn spent(job: &Job, by: i64, deltas: &mut Vec<Delta>) {
    let cost = job.cost.map_or(0, |cost| i64::try_from(cost.micros()).unwrap_or(i64::MAX));
    for dimension in CostBy::ALL {
        let value = job.labels.get(dimension.label()).map(str::to_owned);
        if value.is_none() && job.cost.is_none() {
            continue;
        }
        let day = Granularity::Day.slot(job.created_at);
        let place =
            Place::new(Bucket::of(Granularity::Month, job.created_at), Group::Label(dimension, value));
        for (cell, by) in [
            (Cell::Jobs, by),
            (Cell::JobsOn(day), by),
            (Cell::Cost, by * cost),
            (Cell::CostOn(day), by * cost),
        ] {
            deltas.push(own(job, place.clone(), cell, by));
        }
    }
}

fn buckets(job: &Job) -> impl Iterator<Item = Bucket> {
    let spans = Granularity::BUCKETS.map(|granularity| Bucket::of(granularity, job.created_at));
    [Bucket::Total].into_iter().chain(spans)
}

fn own(job: &Job, place: Place, cell: Cell, by: i64) -> Delta {
    Delta { scope: job.owner.to_string(), place, cell, by, example: None, code: None }
}

fn everywhere(place: Place, cell: Cell, by: i64) -> Delta {
    Delta { scope: ALL_OWNERS.to_owned(), place, cell, by, example: None, code: None }
}
