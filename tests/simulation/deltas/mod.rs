//! By property: over any history of jobs, [`deltas`] and [`Fold`] add up to the numbers of a plain recount.

use std::collections::BTreeMap;

use jobledger::counts::{
    Bucket, Cell, Change, CostBy, Fold, Granularity, Group, MAX_ITEMS, Measure, Place, TryEnd, deltas,
};
use jobledger::domain::{
    Ended, ErrorCode, Job, JobError, JobId, Labels, MicroDollars, Owner, State, Status, Timestamp, Try,
    TypeName,
};
use jobledger::store::schema::ALL_OWNERS;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

mod recount;

use recount::{Counts, add_fold, alive, all_deltas, balance, only_alive, sum_where, summed};

/// 2026-02-28T20:00:00Z: jobs fall into two months, three days and many hours.
const BEGIN: Timestamp = Timestamp::from_millis(1_772_308_800_000);

/// An event of one of the jobs.
#[derive(Clone, Debug)]
enum Event {
    /// It is created; if it exists, nothing happens.
    Create { kind: u8, minute: i64, status: Status },
    /// It goes to the next status at this place in the list of its status's steps.
    Step { place: usize, millis: i64 },
    /// A field changes that is not counted.
    Touch,
    /// Its type changes.
    Rename { kind: u8 },
    /// A correction of its time of creation.
    Move { minute: i64 },
    /// A correction of its cost and its labels.
    Spend { micros: u64, model: u8 },
    /// It is deleted.
    Remove,
}

fn event() -> impl Strategy<Value = Event> {
    let (kind, minute) = (0_u8..4, 0_i64..3_000);
    prop_oneof![
        3 => (kind.clone(), minute.clone(), 0_usize..5)
            .prop_map(|(kind, minute, status)| Event::Create { kind, minute, status: Status::ALL[status] }),
        6 => (0_usize..4, 0_i64..200_000_000).prop_map(|(place, millis)| Event::Step { place, millis }),
        1 => Just(Event::Touch),
        1 => kind.prop_map(|kind| Event::Rename { kind }),
        1 => minute.prop_map(|minute| Event::Move { minute }),
        2 => (0_u64..5_000_000, 0_u8..3).prop_map(|(micros, model)| Event::Spend { micros, model }),
        1 => Just(Event::Remove),
    ]
}

/// Events of up to eight jobs, of two owners.
fn history() -> impl Strategy<Value = Vec<(u8, Event)>> {
    vec((0_u8..8, event()), 1..60)
}

fn kind(number: u8) -> TypeName {
    TypeName::try_from(format!("type-{number}")).expect("valid")
}

/// The ends of attempts that errors name, by their time.
const ENDS: [TryEnd; 4] = [TryEnd::Failed, TryEnd::Timeout, TryEnd::LeaseExpired, TryEnd::HandedBack];

/// The error of an attempt that failed at this time.
fn error(at: Timestamp) -> JobError {
    let end = ENDS[usize::try_from(at.millis().rem_euclid(4)).expect("valid")];
    let code = (end != TryEnd::Failed).then(|| ErrorCode::try_from(end.as_str()).expect("valid"));
    JobError { message: "bad luck".into(), failed_task: None, code }
}

fn state(status: Status, created_at: Timestamp, millis: i64) -> State {
    let ended = Ended {
        // Half of the cancelled jobs were cancelled before they began.
        started_at: (status != Status::Cancelled || millis % 2 == 0)
            .then_some(created_at.plus_millis(millis / 7)),
        completed_at: created_at.plus_millis(millis),
        expires_at: None,
    };
    match status {
        Status::Queued => State::Queued { available_at: created_at.plus_millis(millis / 9) },
        Status::Running => {
            State::Running { started_at: created_at.plus_millis(millis / 7), phase: None, lease: None }
        }
        Status::Completed => State::Completed(ended),
        Status::Failed => {
            State::Failed(ended, JobError { message: "bad luck".into(), failed_task: None, code: None })
        }
        Status::Cancelled => State::Cancelled(ended),
    }
}

fn created(number: u8, of: u8, minute: i64, status: Status) -> Job {
    let created_at = BEGIN.plus_millis(minute * 60_000);
    Job {
        id: JobId::from(Uuid::from_u128(number.into())),
        owner: Owner::try_from(if number.is_multiple_of(2) { "even" } else { "odd" }).expect("valid"),
        kind: kind(of),
        external_id: None,
        name: None,
        priority: 0,
        labels: Labels::default(),
        created_at,
        updated_at: created_at,
        attempt: 0,
        max_attempts: 1,
        failures: 0,
        unheard: 0,
        timeout_seconds: None,
        cost: None,
        trace_id: None,
        progress: None,
        holder: None,
        last_try: None,
        arrival: None,
        bytes: 0,
        state: state(status, created_at, 1_000),
    }
}

/// The stream records of a history, each with the job before and after.
fn changes(history: &[(u8, Event)]) -> Vec<Change> {
    let mut jobs: BTreeMap<u8, Job> = BTreeMap::new();
    let mut changes = Vec::new();
    for (number, event) in history {
        let old = jobs.remove(number);
        let new = match (old.clone(), event) {
            (None, Event::Create { kind, minute, status }) => Some(created(*number, *kind, *minute, *status)),
            (None, _) => continue,
            (Some(_), Event::Remove) => None,
            (Some(job), event) => Some(changed(job, event)),
        };
        jobs.extend(new.clone().map(|job| (*number, job)));
        changes.push(Change { old, new });
    }
    changes
}

fn changed(mut job: Job, event: &Event) -> Job {
    match event {
        Event::Step { place, millis } => {
            let steps = job.status().steps();
            if let Some(next) = steps.get(place % steps.len().max(1)) {
                let was = job.status();
                job.updated_at = job.updated_at.plus_millis(millis % 1_000 + 1);
                job.state = state(*next, job.created_at, *millis);
                match &mut job.state {
                    State::Failed(_, why) => *why = error(job.updated_at),
                    State::Queued { .. } if was == Status::Running => {
                        let (started_at, ended_at) = (job.created_at, job.updated_at);
                        let error = Some(error(job.updated_at));
                        job.last_try = Some(Try { number: 1, worker: None, started_at, ended_at, error });
                    }
                    State::Queued { .. }
                    | State::Running { .. }
                    | State::Completed(_)
                    | State::Cancelled(_) => {}
                }
            }
        }
        Event::Rename { kind: number } => job.kind = kind(*number),
        Event::Move { minute } => job.created_at = BEGIN.plus_millis(minute * 60_000),
        Event::Spend { micros, model } => {
            job.cost = (*micros % 3 > 0).then(|| MicroDollars::try_from(*micros).expect("valid"));
            job.bytes = *micros % 1_000;
            let labels = [("model".to_owned(), format!("model-{model}"))].into_iter().filter(|_| *model > 0);
            job.labels = Labels::try_from(labels.collect::<BTreeMap<_, _>>()).expect("valid");
        }
        Event::Create { .. } | Event::Touch | Event::Remove => job.updated_at = job.updated_at.plus_millis(1),
    }
    job
}

proptest! {
    #[test]
    fn living_jobs_are_those_of_a_recount(history in history()) {
        let changes = changes(&history);
        let mut all = Vec::new();
        for (done, change) in (1..).zip(&changes) {
            all.extend(deltas(change));
            prop_assert_eq!(only_alive(&summed(&all)), alive(&changes[..done]));
        }
    }

    #[test]
    fn created_less_removed_is_alive_in_every_bucket(history in history()) {
        let mut counts = Counts::new();
        for change in changes(&history) {
            for delta in deltas(&change) {
                *counts.entry((delta.scope, delta.place)).or_default().entry(delta.cell).or_default() += delta.by;
            }
            for (item, cells) in &counts {
                prop_assert_eq!(balance(cells), 0, "{:?}", item);
            }
        }
    }

    #[test]
    fn only_living_jobs_and_costs_ever_become_fewer(history in history()) {
        for change in changes(&history) {
            for delta in deltas(&change) {
                let falls = matches!(
                    delta.cell,
                    Cell::Alive(_)
                        | Cell::AliveIn(..)
                        | Cell::Bytes
                        | Cell::Grouped
                        | Cell::Planned(..)
                        | Cell::AllPlanned(_)
                        | Cell::Jobs
                        | Cell::Cost
                        | Cell::JobsOn(_)
                        | Cell::CostOn(_)
                );
                prop_assert!(delta.by >= 0 || falls, "{:?}", delta);
            }
        }
    }

    /// Months, days and hours each sum up to the owner's total. Types and owners each sum up to the total of all.
    #[test]
    fn every_granularity_adds_up_to_the_total(history in history()) {
        let counts = all_deltas(&history);
        let total = sum_where(&counts, |scope, _| scope == ALL_OWNERS);
        let is_type = |place: &Place| matches!(place.group, Group::Type(_));
        let is_all = |place: &Place| place.group == Group::All;
        let own = |scope: &str, bucket| scope != ALL_OWNERS && bucket == Bucket::Total;
        prop_assert_eq!(&sum_where(&counts, |scope, place| own(scope, place.bucket) && is_type(place)), &total);
        prop_assert_eq!(&sum_where(&counts, |scope, place| own(scope, place.bucket) && is_all(place)), &total);
        for granularity in Granularity::BUCKETS {
            let is_span = |place: &Place| matches!(place.bucket, Bucket::Span(length, _) if length == granularity);
            prop_assert_eq!(&sum_where(&counts, |_, place| is_span(place) && is_type(place)), &total);
            prop_assert_eq!(&sum_where(&counts, |_, place| is_span(place) && is_all(place)), &total);
        }
    }

    /// A job's cost stays after its end and its deletion. It is the same by each label and in each span.
    #[test]
    fn costs_are_those_that_jobs_had_last(history in history()) {
        let changes = changes(&history);
        let counts = all_deltas(&history);
        let mut spent: BTreeMap<Option<String>, (i64, i64)> = BTreeMap::new();
        let mut lives: BTreeMap<JobId, &Job> = BTreeMap::new();
        let mut end = |job: &Job| {
            let model = job.labels.get("model").map(str::to_owned);
            if model.is_some() || job.cost.is_some() {
                let sum = spent.entry(model).or_default();
                sum.0 += 1;
                sum.1 += job.cost.map_or(0, |cost| i64::try_from(cost.micros()).expect("valid"));
            }
        };
        for change in &changes {
            match (&change.old, &change.new) {
                (Some(old), None) => {
                    lives.remove(&old.id);
                    end(old);
                }
                (_, Some(new)) => {
                    lives.insert(new.id, new);
                }
                (None, None) => {}
            }
        }
        lives.into_values().for_each(&mut end);
        for by_day in [false, true] {
            let mut found: BTreeMap<Option<String>, (i64, i64)> = BTreeMap::new();
            for ((_, place), cells) in &counts {
                let Group::Label(CostBy::Model, value) = &place.group else { continue };
                let sum = found.entry(value.clone()).or_default();
                for (cell, number) in cells {
                    match (cell, by_day) {
                        (Cell::Jobs, false) | (Cell::JobsOn(_), true) => sum.0 += number,
                        (Cell::Cost, false) | (Cell::CostOn(_), true) => sum.1 += number,
                        _ => {}
                    }
                }
            }
            found.retain(|_, sum| *sum != (0, 0));
            prop_assert_eq!(&found, &spent, "by day: {}", by_day);
        }
        let total = |by: CostBy| -> i64 {
            let is_total = |((_, place), _): &(&(String, Place), &BTreeMap<Cell, i64>)| {
                matches!(&place.group, Group::Label(known, _) if *known == by)
            };
            counts.iter().filter(is_total).filter_map(|(_, cells)| cells.get(&Cell::Cost)).sum()
        };
        prop_assert_eq!(total(CostBy::Model), total(CostBy::Team));
    }

    /// A histogram has an entry for every measurement.
    #[test]
    fn histograms_hold_every_measurement(history in history()) {
        let counts = all_deltas(&history);
        for ((_, place), cells) in &counts {
            for measure in [Measure::Wait, Measure::Run] {
                let part = |(cell, value): (&Cell, &i64)| match cell {
                    Cell::Count(of) if *of == measure => *value,
                    Cell::Histogram(of, _) | Cell::Within(of, _) if *of == measure => -value,
                    _ => 0,
                };
                prop_assert_eq!(cells.iter().map(part).sum::<i64>(), 0, "{:?}", place);
            }
        }
    }

    /// Each step that ends an attempt counts one end, by the job's type.
    #[test]
    fn tries_are_those_that_ended(history in history()) {
        let changes = changes(&history);
        let mut ends: BTreeMap<(String, TryEnd), i64> = BTreeMap::new();
        for Change { old, new } in &changes {
            let (Some(old), Some(new)) = (old, new) else { continue };
            if old.status() == Status::Running && new.status() != Status::Running {
                let end = match new.status() {
                    Status::Completed => TryEnd::Completed,
                    Status::Cancelled => TryEnd::Cancelled,
                    Status::Failed | Status::Queued | Status::Running => {
                        ENDS[usize::try_from(new.updated_at.millis().rem_euclid(4)).expect("valid")]
                    }
                };
                *ends.entry((new.kind.to_string(), end)).or_default() += 1;
            }
        }
        let mut found = BTreeMap::new();
        for ((scope, place), cells) in all_deltas(&history) {
            for (cell, count) in cells {
                let Cell::Tries(end) = cell else { continue };
                prop_assert_eq!((scope.as_str(), place.bucket), (ALL_OWNERS, Bucket::Total));
                let Group::Type(kind) = &place.group else { panic!("{place} is not of a type") };
                found.insert((kind.to_string(), end), count);
            }
        }
        prop_assert_eq!(found, ends);
    }

    /// The records may be cut into commits anywhere. The sums of the commits are the same, and each fits a transaction.
    #[test]
    fn folds_add_up_to_the_deltas(history in history(), spread in 0_i64..40) {
        let mut changes = changes(&history);
        // Many hours, so that a fold becomes full.
        for (hour, change) in (0_i64..).zip(&mut changes) {
            for job in change.old.iter_mut().chain(&mut change.new) {
                job.created_at = job.created_at.plus_hours(hour * spread);
            }
        }
        let (mut folds, mut fold) = (Counts::new(), Fold::default());
        for change in &changes {
            let deltas = deltas(change);
            let before = fold.clone();
            if !fold.add(&deltas) {
                prop_assert!(fold.items().eq(before.items()), "what does not fit leaves the sum as it was");
                add_fold(&mut folds, &before);
                fold = Fold::default();
                prop_assert!(fold.add(&deltas), "one record always fits");
            }
            prop_assert!(fold.items().count() <= MAX_ITEMS);
        }
        add_fold(&mut folds, &fold);
        let mut plain = summed(&changes.iter().flat_map(deltas).collect::<Vec<_>>());
        for counts in [&mut folds, &mut plain] {
            for cells in counts.values_mut() {
                cells.retain(|_, value| *value != 0);
            }
            counts.retain(|_, cells| !cells.is_empty());
        }
        prop_assert_eq!(folds, plain);
    }

    #[test]
    fn what_is_not_counted_moves_nothing(number: u8, of in 0_u8..4, minute in 0_i64..3_000, place in 0_usize..5) {
        let old = created(number, of, minute, Status::ALL[place]);
        let mut new = Job { priority: 9, ..old.clone() };
        // These tell how a queued job waits.
        if old.status() != Status::Queued {
            (new.updated_at, new.attempt) = (Timestamp::MAX, 7);
        }
        let deltas = deltas(&Change { old: Some(old), new: Some(new) });
        prop_assert!(deltas.is_empty());
        let mut fold = Fold::default();
        prop_assert!(fold.add(&deltas) && fold.is_empty());
    }
}

#[test]
fn a_step_there_and_back_leaves_a_fold_that_writes_nothing_of_it() {
    let queued = created(1, 0, 0, Status::Queued);
    let cells = |fold: &Fold| -> Vec<String> {
        fold.items().flat_map(|(_, _, cells)| cells.into_iter().map(|(cell, _)| cell.to_string())).collect()
    };
    let mut fold = Fold::default();
    assert!(fold.add(&deltas(&Change { old: None, new: Some(queued.clone()) })));
    assert!(fold.add(&deltas(&Change { old: Some(queued), new: None })));
    // Never alive, in sum; but created and removed.
    assert!(cells(&fold).iter().all(|cell| cell == "created" || cell == "removed"));
    assert!(!fold.is_empty());
}
