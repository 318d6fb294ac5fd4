//! Which ranges a list is read from: by the exact counts, those that cost least.

use crate::counts::{StatusCounts, Totals};
use crate::domain::{JobQuery, Status, TypeName};
use crate::store::ranges::{By, Range, ranges};

/// Most ranges of one list: each costs half a unit at least.
const MAX_RANGES: usize = 1_024;
/// Bytes of a row of an index, about.
const ROW_BYTES: u64 = 450;
/// Bytes of half a capacity unit, the least that a read costs.
const HALF_UNIT_BYTES: u64 = 4_096;
/// The extra cost, in half units, that is allowed for ranges in which no job moves while they are read. If a list is
/// made of a range for each status, a job that goes from one to another at that moment is missed, or met in both.
const WORTH_STANDING_STILL: u64 = 4;

/// The ranges of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Each with its share of the rows that are looked at.
    pub(super) ranges: Vec<(Range, u64)>,
    /// How many rows are wanted, as far as buckets tell; 0: they do not tell.
    pub(super) wanted: u64,
    /// How many rows the ranges have.
    pub(super) base: u64,
    /// Whether these two tell how many rows are looked at in vain: not of what is not counted.
    pub(super) is_known: bool,
}

/// The ranges of a list that can be read in one way only.
pub(super) fn given(query: &JobQuery, shards: u16) -> Plan {
    let ranges = ranges(query, shards, By::BOTH).into_iter().map(|(range, _, _)| (range, 1));
    Plan { ranges: ranges.collect(), ..Plan::nothing() }
}

/// The ranges for reading so many rows, where there are several ways.
pub(super) fn choose(query: &JobQuery, shards: u16, limit: usize, totals: &Totals) -> Plan {
    let mut best: Option<(u64, Plan)> = None;
    for by in [(false, false), (true, false), (false, true), (true, true)] {
        let by = By { types: by.0, statuses: by.1 };
        let is_same = |by: bool, number: usize| by && number == 0;
        if is_same(by.types, query.types.len()) || is_same(by.statuses, query.statuses.len()) {
            continue;
        }
        let plan = planned(query, shards, by, totals);
        let moves = by.statuses && query.statuses.len() > 1;
        let cost = cost(query, &plan, limit) + if moves { WORTH_STANDING_STILL } else { 0 };
        let is_first = !by.types && !by.statuses;
        if (is_first || plan.ranges.len() <= MAX_RANGES)
            && best.as_ref().is_none_or(|(least, _)| cost < *least)
        {
            best = Some((cost, plan));
        }
    }
    best.map_or_else(|| planned(query, shards, By::BOTH, totals), |(_, plan)| plan)
}

fn planned(query: &JobQuery, shards: u16, by: By, totals: &Totals) -> Plan {
    let count = |kind: Option<&TypeName>, status: Option<Status>| -> u64 {
        let of = |counts: &StatusCounts| {
            counts
                .iter()
                .filter(|(known, _)| status.is_none_or(|status| status == *known))
                .map(|(_, n)| n)
                .sum()
        };
        kind.map_or_else(|| of(&totals.all), |kind| totals.types.get(kind).map_or(0, of))
    };
    let ranges: Vec<(Range, u64)> = ranges(query, shards, by)
        .into_iter()
        .map(|(range, kind, status)| (range, count(kind.as_ref(), status) / u64::from(shards)))
        .collect();
    let base = ranges.iter().map(|(_, count)| count).sum();
    Plan { ranges, wanted: totals.sum(query), base, is_known: query.filter.is_empty() }
}

/// The cost of finding so many rows, in half units.
fn cost(query: &JobQuery, plan: &Plan, limit: usize) -> u64 {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    // The other filters of the list may let few rows pass: then all are looked at.
    let rows = if query.filter.is_empty() { plan.examined_for(limit.min(plan.wanted)) } else { plan.base };
    let ranges = u64::try_from(plan.ranges.len()).unwrap_or(u64::MAX);
    ranges.max(ranges / 2 + rows.saturating_mul(ROW_BYTES) / HALF_UNIT_BYTES)
}

impl Plan {
    /// No range at all.
    pub(super) const fn nothing() -> Self {
        Self { ranges: Vec::new(), wanted: 0, base: 0, is_known: false }
    }

    /// How many rows have to be looked at for 1,024 that are wanted; `None`: nobody knows.
    pub(super) fn per_1024(&self) -> Option<u64> {
        (self.is_known && self.wanted > 0).then(|| self.examined_for(1_024))
    }

    /// How many rows have to be looked at until so many are found.
    fn examined_for(&self, rows: u64) -> u64 {
        if self.wanted == 0 || self.base <= self.wanted {
            return rows;
        }
        let product = u128::from(rows) * u128::from(self.base) / u128::from(self.wanted);
        u64::try_from(product).unwrap_or(u64::MAX).min(self.base.max(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Owner;

    const KINDS: [&str; 3] = ["big", "small", "tiny"];

    /// Three types; nearly all jobs have completed.
    fn shop() -> Totals {
        let counts = |queued: i64, completed: i64| {
            let mut counts = StatusCounts::default();
            counts.add_one(Status::Queued, queued);
            counts.add_one(Status::Completed, completed);
            counts
        };
        let types = [counts(10, 1_000_000), counts(5, 50_000), counts(1, 20)];
        let all = types.iter().fold(StatusCounts::default(), StatusCounts::plus);
        let kind = |name: &str| TypeName::try_from(name).unwrap();
        Totals { all, types: KINDS.into_iter().map(kind).zip(types).collect() }
    }

    fn query(types: &[&str], statuses: &[Status]) -> JobQuery {
        JobQuery {
            types: types.iter().map(|name| TypeName::try_from(*name).unwrap()).collect(),
            statuses: statuses.iter().copied().collect(),
            ..JobQuery::all(Owner::try_from("a").unwrap())
        }
    }

    #[track_caller]
    fn check(query: &JobQuery, expect: usize, is_filtered: bool) {
        let plan = choose(query, 1, 51, &shop());
        assert_eq!(plan.ranges.len(), expect, "{plan:?}");
        assert!(plan.ranges.iter().all(|(range, _)| range.is_filtered() == is_filtered), "{plan:?}");
    }

    #[test]
    fn most_of_a_list_is_read_as_the_whole_list() {
        check(&query(&[], &[Status::Completed, Status::Failed]), 1, true);
        check(&query(&["big", "small"], &[]), 1, true);
    }

    #[test]
    fn what_is_rare_is_read_from_its_own_ranges() {
        check(&query(&[], &[Status::Queued, Status::Running]), 2, false);
        check(&query(&["small", "tiny"], &[]), 2, false);
        check(&query(&["tiny"], &[Status::Queued, Status::Failed]), 1, true);
        check(&query(&KINDS, &[Status::Queued]), 1, true);
    }

    #[test]
    fn a_filter_reads_the_smallest_whole() {
        let mut query = query(&["small"], &[Status::Queued, Status::Running]);
        query.filter.priority = Some(3);
        check(&query, 2, true);
    }

    #[test]
    fn many_ranges_are_too_many() {
        let names: Vec<String> = (0..100).map(|number| format!("type-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = choose(&query(&names, &[Status::Queued, Status::Failed]), 64, 51, &shop());
        assert!(plan.ranges.len() <= MAX_RANGES, "{}", plan.ranges.len());
    }
}
