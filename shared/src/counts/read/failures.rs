//! Failed jobs by type and reason: read from the groups' items, and from the totals that have all of them.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, read_items};
use super::sum::{sum_of, totals};
use crate::counts::{Cell, Example, Group, Place, Tally};
use crate::domain::{FailureGroup, Owner, Status, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Corrupt, Jobs, Source, StoreError};

/// How often the numbers are read that change meanwhile.
const MAX_TRIES: usize = 3;
/// Past so many types, all groups of an owner are read at once and not type by type: there are not many.
const MAX_TYPES_ONE_BY_ONE: usize = 4;

/// The failed jobs of an owner that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// The groups that have an item, the greatest first.
    pub groups: Vec<FailedJobs>,
    /// All failed jobs.
    pub total: u64,
    /// Those of them that are in none of these groups.
    pub other: u64,
}

/// The failed jobs of one type that have the same reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedJobs {
    /// Their type.
    pub kind: TypeName,
    /// The reason.
    pub group: FailureGroup,
    /// How many there are.
    pub count: u64,
    /// The one that failed last since the group has been counted.
    pub example: Option<Example>,
}

impl Jobs<'_> {
    /// Counts an owner's failed jobs of these types, none standing for all, by type and reason.
    pub async fn failures(&self, owner: &Owner, types: &BTreeSet<TypeName>) -> Result<Failures, StoreError> {
        let source = self.ledger.source().await?;
        let mut before = failed(source, owner, types).await?;
        let mut tries = 1;
        loop {
            let groups = groups(source, owner, types).await?;
            let counted = groups.iter().map(|group| group.count).sum::<u64>();
            let failures = |total: u64| {
                // If the total is read at another time than the groups, it may be less.
                let total = total.max(counted);
                Failures { groups, total, other: total - counted }
            };
            // One transaction moves both. If they agree, they are of one time.
            if before == counted || tries == MAX_TRIES {
                return Ok(failures(before));
            }
            let after = failed(source, owner, types).await?;
            if before == after {
                return Ok(failures(after));
            }
            before = after;
            tries += 1;
        }
    }
}

/// How many jobs of these types have failed.
async fn failed(source: Source<'_>, owner: &Owner, types: &BTreeSet<TypeName>) -> Result<u64, StoreError> {
    let sum = sum_of(source, owner, totals(types).collect()).await?;
    Ok(sum.count(Cell::Alive(Status::Failed)))
}

/// The groups of these types, the greatest first; of the same size, by name.
async fn groups(
    source: Source<'_>,
    owner: &Owner,
    types: &BTreeSet<TypeName>,
) -> Result<Vec<FailedJobs>, StoreError> {
    let ranges = if types.is_empty() || types.len() > MAX_TYPES_ONE_BY_ONE {
        vec![Place::failures(None)]
    } else {
        types.iter().map(|kind| Place::failures(Some(kind))).collect()
    };
    let reads = ranges.into_iter().map(|(first, last)| async move {
        read_items(source.store, source.tables, owner.as_str(), &first, &last).await
    });
    let reads: Vec<_> = reads.collect();
    let items: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut groups = Vec::new();
    for item in items.into_iter().flatten() {
        let place = place_of(&item)?;
        let Group::Failures(kind, group) = place.group else {
            return Err(Corrupt::new(place, "does not count failures").into());
        };
        if !(types.is_empty() || types.contains(&kind)) {
            continue;
        }
        let count = Tally::of_item(&item).count(Cell::Grouped);
        groups.push(FailedJobs { kind, group, count, example: Example::of_item(&item) });
    }
    groups.sort_by(|a, b| {
        let key = |of: &FailedJobs| (Reverse(of.count), of.kind.clone(), of.group.clone());
        key(a).cmp(&key(b))
    });
    Ok(groups)
}
