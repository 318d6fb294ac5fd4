//! How many records there are, by kind and status.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, range};
use crate::counts::{Bucket, Cell, Group, Place, Tally};
use crate::domain::{Owner, RecordKind, RecordStatus};
use crate::store::records::Records;
use crate::store::{AttributeMap, Corrupt, Ledger, Store, StoreError, Tables};

/// Most pairs of kind and status that are read to tell how many records an owner has.
pub const MAX_RECORD_PAIRS: usize = 10_000;
/// Most pairs that are read each by itself, where kinds and statuses are both named.
pub const MAX_PAIRS_ONE_BY_ONE: usize = 100;

/// Ranges that are read at once for one count: each may be long, and memory is short.
const RANGES_AT_ONCE: usize = 8;

/// A kind of records, and a status or none.
pub type RecordPair = (RecordKind, Option<RecordStatus>);

/// How many records there are of each kind and status that have any.
pub type RecordCounts = BTreeMap<RecordPair, u64>;

/// Why records are not counted.
#[derive(Debug, thiserror::Error)]
pub enum RecordCountError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more pairs of kind and status to look at than are read.
    #[error("at most {MAX_RECORD_PAIRS} pairs of kind and status are read; name fewer kinds or statuses")]
    TooManyPairs,
}

impl Records<'_> {
    /// Counts an owner's records of these kinds and statuses, none of either standing for all.
    pub async fn count(
        &self,
        owner: &Owner,
        kinds: &BTreeSet<RecordKind>,
        statuses: &BTreeSet<Option<RecordStatus>>,
    ) -> Result<RecordCounts, RecordCountError> {
        let Ledger { store, config, .. } = self.ledger;
        let counts = count_records(store, &config.tables, owner, kinds, statuses).await?;
        counts.ok_or(RecordCountError::TooManyPairs)
    }
}

/// The same; `None`: there are more pairs than that.
async fn count_records(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kinds: &BTreeSet<RecordKind>,
    statuses: &BTreeSet<Option<RecordStatus>>,
) -> Result<Option<RecordCounts>, StoreError> {
    let reads = ranges(kinds, statuses).into_iter();
    let reads = reads.map(|names| read_records(store, tables, owner.as_str(), names, MAX_RECORD_PAIRS));
    let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffer_unordered(RANGES_AT_ONCE);
    let (mut counts, mut examined) = (RecordCounts::new(), 0);
    while let Some((some, are_all)) = reads.try_next().await? {
        examined += some.len();
        if !are_all || examined > MAX_RECORD_PAIRS {
            return Ok(None);
        }
        let is_wanted = |status: &Option<RecordStatus>| statuses.is_empty() || statuses.contains(status);
        counts.extend(some.into_iter().filter(|((_, status), _)| is_wanted(status)));
    }
    Ok(Some(counts))
}

/// The names between which these lie: one by one, where kinds and statuses are named and these are few, else kind by
/// kind, else all.
fn ranges(kinds: &BTreeSet<RecordKind>, statuses: &BTreeSet<Option<RecordStatus>>) -> Vec<(String, String)> {
    if kinds.is_empty() {
        return vec![Place::records(None)];
    }
    if statuses.is_empty() || kinds.len() * statuses.len() > MAX_PAIRS_ONE_BY_ONE {
        return kinds.iter().map(|kind| Place::records(Some(kind))).collect();
    }
    let pairs = kinds.iter().flat_map(|kind| statuses.iter().map(move |status| (kind, status)));
    let names = pairs.map(|(kind, status)| {
        let group = Group::Records(kind.clone(), status.clone());
        Place::new(Bucket::Total, group).to_string()
    });
    names.map(|name| (name.clone(), name)).collect()
}

/// Reads at most so many pairs of which there are any, and says whether these are all.
pub(crate) async fn read_records(
    store: &Store,
    tables: &Tables,
    scope: &str,
    (first, last): (String, String),
    most: usize,
) -> Result<(RecordCounts, bool), StoreError> {
    let (mut counts, mut from) = (RecordCounts::new(), None);
    loop {
        // One more than is told says whether there are more.
        let limit = i32::try_from(most + 1 - counts.len()).unwrap_or(i32::MAX);
        let plan = range(tables, scope, &first, &last).limit(limit).set_exclusive_start_key(from);
        let page = store.query(plan).await?;
        for item in page.items.unwrap_or_default() {
            let (pair, count) = counted_in(&item)?;
            if count == 0 {
                continue;
            }
            if counts.len() == most {
                return Ok((counts, false));
            }
            counts.insert(pair, count);
        }
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok((counts, true));
        }
    }
}

pub(crate) fn counted_in(item: &AttributeMap) -> Result<(RecordPair, u64), Corrupt> {
    let place = place_of(item)?;
    let Group::Records(kind, status) = place.group else {
        return Err(Corrupt::new(place, "does not count records"));
    };
    Ok(((kind, status), Tally::of_item(item).count(Cell::Records)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_read_by_itself() {
        let kind = |word: &str| RecordKind::try_from(word).unwrap();
        let kinds = BTreeSet::from([kind("a"), kind("z")]);
        let names =
            |kinds: &BTreeSet<RecordKind>, statuses: &BTreeSet<Option<RecordStatus>>| -> Vec<String> {
                ranges(kinds, statuses).into_iter().map(|(first, last)| format!("{first} {last}")).collect()
            };
        assert_eq!(names(&BTreeSet::new(), &BTreeSet::from([None])), ["records# records$"]);
        assert_eq!(names(&kinds, &BTreeSet::new()), ["records#a# records#a$", "records#z# records#z$"]);
        assert_eq!(
            names(&kinds, &BTreeSet::from([None])),
            ["records#a# records#a#", "records#z# records#z#"]
        );
        let many = (0..=MAX_PAIRS_ONE_BY_ONE / 2).map(|n| RecordStatus::try_from(format!("s{n}")).ok());
        assert_eq!(names(&kinds, &many.collect()), ["records#a# records#a$", "records#z# records#z$"]);
    }
}
