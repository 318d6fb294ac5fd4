//! The same numbers, counted one by one.

use std::collections::BTreeMap;

use jobledger::counts::{Bucket, Cell, Change, Delta, Fold, Granularity, Group, Place, deltas};
use jobledger::domain::{Job, JobId};
use jobledger::store::schema::ALL_OWNERS;

use super::{Event, changes};

pub(super) type Counts = BTreeMap<(String, Place), BTreeMap<Cell, i64>>;

pub(super) fn add_fold(counts: &mut Counts, fold: &Fold) {
    for (scope, place, cells) in fold.items() {
        let counted = counts.entry((scope.to_owned(), place.clone())).or_default();
        for (cell, by) in cells {
            *counted.entry(cell).or_default() += by;
        }
    }
}

pub(super) fn summed(deltas: &[Delta]) -> Counts {
    let mut counts = Counts::new();
    for delta in deltas {
        let counted = counts.entry((delta.scope.clone(), delta.place.clone())).or_default();
        *counted.entry(delta.cell).or_default() += delta.by;
    }
    counts
}

pub(super) fn all_deltas(history: &[(u8, Event)]) -> Counts {
    summed(&changes(history).iter().flat_map(deltas).collect::<Vec<_>>())
}

/// The jobs that are left at the end.
pub(super) fn survivors(changes: &[Change]) -> Vec<&Job> {
    let mut last: BTreeMap<JobId, Option<&Job>> = BTreeMap::new();
    for change in changes {
        if let Some(job) = change.old.as_ref().or(change.new.as_ref()) {
            last.insert(job.id, change.new.as_ref());
        }
    }
    last.into_values().flatten().collect()
}

/// The living jobs, counted from the jobs that are left.
pub(super) fn alive(changes: &[Change]) -> Counts {
    let mut counts = Counts::new();
    for job in survivors(changes) {
        let mut add = |scope: &str, place: Place, cell: Cell, by: i64| {
            *counts.entry((scope.to_owned(), place)).or_default().entry(cell).or_default() += by;
        };
        let (owner, kind) = (job.owner.as_str(), || Group::Type(job.kind.clone()));
        let cell = Cell::Alive(job.status());
        add(ALL_OWNERS, Place::new(Bucket::Total, kind()), cell, 1);
        for group in [Group::All, kind()] {
            add(owner, Place::new(Bucket::Total, group.clone()), cell, 1);
            for granularity in Granularity::BUCKETS {
                let place = Place::new(Bucket::of(granularity, job.created_at), group.clone());
                add(owner, place, cell, 1);
                let finer = granularity.finer().expect("valid");
                let slot = finer.slot(job.created_at);
                let place = Place::new(finer.container_of(job.created_at), group.clone());
                add(owner, place, Cell::AliveIn(slot, job.status()), 1);
            }
        }
        if job.bytes > 0 {
            let bytes = i64::try_from(job.bytes).expect("valid");
            add(owner, Place::new(Bucket::Total, Group::All), Cell::Bytes, bytes);
        }
    }
    counts
}

pub(super) fn only_alive(counts: &Counts) -> Counts {
    let mut alive = counts.clone();
    for cells in alive.values_mut() {
        let lives = |cell: &Cell| matches!(cell, Cell::Alive(_) | Cell::AliveIn(..) | Cell::Bytes);
        cells.retain(|cell, value| lives(cell) && *value != 0);
    }
    alive.retain(|_, cells| !cells.is_empty());
    alive
}

/// Created jobs, less removed jobs and living jobs.
pub(super) fn balance(cells: &BTreeMap<Cell, i64>) -> i64 {
    let part = |(cell, value): (&Cell, &i64)| match cell {
        Cell::Created => *value,
        Cell::Removed | Cell::Alive(_) => -value,
        Cell::AliveIn(..)
        | Cell::Ended(_)
        | Cell::Count(_)
        | Cell::SumMs(_)
        | Cell::Histogram(..)
        | Cell::Within(..)
        | Cell::Tries(_)
        | Cell::Bytes
        | Cell::Jobs
        | Cell::Cost
        | Cell::JobsOn(_)
        | Cell::CostOn(_)
        | Cell::Records
        | Cell::Grouped
        | Cell::Planned(..)
        | Cell::AllPlanned(_) => 0,
    };
    cells.iter().map(part).sum()
}

/// The sum of all matching items, without cells that only some buckets have.
pub(super) fn sum_where(counts: &Counts, passes: impl Fn(&str, &Place) -> bool) -> BTreeMap<Cell, i64> {
    let mut sum: BTreeMap<Cell, i64> = BTreeMap::new();
    for (_, cells) in counts.iter().filter(|((scope, place), _)| passes(scope, place)) {
        let only_some = |cell: &Cell| {
            let is_measured = matches!(cell, Cell::Histogram(..) | Cell::Within(..) | Cell::Tries(_));
            let is_planned = matches!(cell, Cell::Planned(..) | Cell::AllPlanned(_));
            is_measured || is_planned || matches!(cell, Cell::AliveIn(..) | Cell::Bytes | Cell::Grouped)
        };
        for (cell, value) in cells.iter().filter(|(cell, _)| !only_some(cell)) {
            *sum.entry(*cell).or_default() += value;
        }
    }
    sum.retain(|_, value| *value != 0);
    sum
}
