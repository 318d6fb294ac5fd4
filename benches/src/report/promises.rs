//! The promises: about units and memory, never about speed.

use serde::{Serialize, Serializer};

use crate::amount::{Amount, grouped};
use crate::load::Load;
use crate::operations::{OPERATIONS, Operation, Promised};

use super::Row;

/// Most growth of units from the fewest jobs to the most, in thousandths: pages differ a little by chance.
pub(super) const GROWTH_MAX: u64 = 1_500;
/// Most reads of a deep page, in thousandths of a first page's.
const DEPTH_MAX: u64 = 2_000;
/// Most growth of memory from the first half of a load to the second, in KiB: 64 MiB. Half a million jobs reach it
/// with 134 bytes each.
const MEMORY_GROWTH_MAX_KIB: u64 = 64 * 1_024;

/// A promise.
#[derive(Clone, Debug, Serialize)]
pub struct Promise {
    /// Its text.
    pub promise: String,
    /// The measurement.
    pub measured: String,
    /// Whether it holds.
    pub holds: Verdict,
}

/// Whether a promise holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// Unknown, because nothing was measured.
    Unknown,
}

impl Serialize for Verdict {
    /// `true`, `false`, or null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Holds => serializer.serialize_bool(true),
            Self::Broken => serializer.serialize_bool(false),
            Self::Unknown => serializer.serialize_none(),
        }
    }
}

/// All promises. `rows` are in the order of the operations.
pub(super) fn all(loads: &[Load], rows: &[Row]) -> Vec<Promise> {
    let (Some(few), Some(many)) = (loads.first(), loads.last()) else { return Vec::new() };
    let known = || OPERATIONS.iter().zip(rows);
    let first_page = known().find(|(operation, _)| operation.promise == Promised::FlatFirstPage);
    let mut promises = Vec::new();
    for (operation, row) in known() {
        match operation.promise {
            Promised::Flat | Promised::FlatFirstPage | Promised::FlatDeepPage => {
                promises.push(flat(operation, row, few.jobs, many.jobs));
            }
            Promised::Nothing => {}
        }
    }
    for (operation, row) in known().filter(|(operation, _)| operation.promise == Promised::FlatDeepPage) {
        if let Some((first, first_row)) = first_page {
            promises.push(shallow(operation, row, first, first_row, many.jobs));
        }
    }
    promises.push(memory(many));
    promises
}

fn flat(operation: &Operation, row: &Row, few: u64, many: u64) -> Promise {
    let promise = format!(
        "{}: reads at {} jobs at most {} times the units of {}",
        operation.name,
        grouped(many),
        Amount::from_thousandths(GROWTH_MAX),
        grouped(few),
    );
    let ends = row.ends().map(|(few, many)| (few.read_units.median, many.read_units.median));
    compare(promise, ends, GROWTH_MAX)
}

fn shallow(deep: &Operation, deep_row: &Row, first: &Operation, first_row: &Row, many: u64) -> Promise {
    let promise = format!(
        "{}: reads at {} jobs at most {} times the units of {}",
        deep.name,
        grouped(many),
        Amount::from_thousandths(DEPTH_MAX),
        first.name,
    );
    let ends = first_row.ends().zip(deep_row.ends());
    let ends = ends.map(|((_, first), (_, deep))| (first.read_units.median, deep.read_units.median));
    compare(promise, ends, DEPTH_MAX)
}

/// Whether the second is at most this many thousandths of the first.
pub(super) fn compare(promise: String, ends: Option<(Amount, Amount)>, max: u64) -> Promise {
    let Some((base, other)) = ends else {
        return Promise { promise, measured: "not there yet".to_owned(), holds: Verdict::Unknown };
    };
    let within = u128::from(other.thousandths()) * 1_000 <= u128::from(base.thousandths()) * u128::from(max);
    let holds = if within { Verdict::Holds } else { Verdict::Broken };
    let times = other.over(base).map_or_else(String::new, |times| format!(" ({times:.2} times)"));
    Promise { promise, measured: format!("{base} and {other}{times}"), holds }
}

fn memory(load: &Load) -> Promise {
    let promise = format!(
        "loading {} jobs: the second half has at most {} MiB more in memory than the first",
        grouped(load.jobs),
        MEMORY_GROWTH_MAX_KIB / 1_024,
    );
    let most = |half: std::ops::RangeInclusive<u64>| {
        let samples = load.samples.iter().filter(|sample| half.contains(&sample.percent));
        samples.filter_map(|sample| sample.memory).map(|memory| memory.resident_kib).max()
    };
    // A short load may have no sample in its first half. Then nothing can be compared.
    let Some((first, second)) = most(0..=50).zip(most(51..=100)) else {
        return Promise { promise, measured: "too few samples".to_owned(), holds: Verdict::Unknown };
    };
    let holds =
        if second <= first.saturating_add(MEMORY_GROWTH_MAX_KIB) { Verdict::Holds } else { Verdict::Broken };
    let measured = format!("{} and {} MiB", first / 1_024, second / 1_024);
    Promise { promise, measured, holds }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Sample;
    use crate::memory::Memory;

    #[test]
    fn a_promise_is_held_against_a_ratio() {
        let check = |base, other, expect| {
            let ends = (Amount::from_thousandths(base), Amount::from_thousandths(other));
            assert_eq!(compare(String::new(), Some(ends), GROWTH_MAX).holds, expect, "{base} {other}");
        };
        check(4_000, 6_000, Verdict::Holds);
        check(4_000, 6_500, Verdict::Broken);
        check(4_000, 500, Verdict::Holds);
        check(0, 0, Verdict::Holds);
        check(0, 500, Verdict::Broken);
        assert_eq!(compare(String::new(), None, GROWTH_MAX).holds, Verdict::Unknown);
    }

    #[test]
    fn memory_may_not_grow_with_the_load() {
        let verdict = |resident: [u64; 4]| {
            let samples = (1..).zip(resident).map(|(quarter, mib)| {
                let kib = mib * 1_024;
                let memory = Some(Memory { resident_kib: kib, peak_kib: kib });
                Sample { percent: quarter * 25, memory }
            });
            memory(&Load {
                jobs: 1_000_000,
                load_ms: 0,
                settle_ms: 0,
                loaded_per_second: 0,
                counted_per_second: 0,
                database_bytes: 0,
                samples: samples.collect(),
                memory_settled: None,
            })
            .holds
        };
        assert_eq!(verdict([60, 80, 90, 85]), Verdict::Holds);
        assert_eq!(verdict([60, 80, 120, 160]), Verdict::Broken);
    }
}
