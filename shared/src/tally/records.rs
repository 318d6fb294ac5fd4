//! Records: by how much a write moves their counts, and what is counted.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{place_of, range};
use super::{Bucket, Cell, Delta, Group, Place, Tally};
use crate::domain::{Owner, Record, RecordKind, RecordStatus};
use crate::dynamo::schema::ALL_OWNERS;
use crate::dynamo::{AttributeMap, Corrupt, Store, StoreError, Tables};

/// Most pairs of kind and status that are read to tell how many records an owner has: those that have ever had any.
pub const MAX_RECORD_PAIRS: usize = 10_000;
/// Most pairs of kind and status that a scrape reads and shows: whoever may write makes as many as they like.
pub const MAX_RECORD_SERIES: usize = 500;

/// How many records there are of each kind and status; a pair of which there are none may be told, or not.
pub type RecordCounts = BTreeMap<(RecordKind, Option<RecordStatus>), u64>;

/// A record before and after a write: `None` before it is made and after it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// As it was.
    pub old: Option<Record>,
    /// As it is.
    pub new: Option<Record>,
}

/// All that such a change moves: where a record was counted, one less, and where it is now, one more.
pub fn record_deltas(change: &RecordChange) -> Vec<Delta> {
    let RecordChange { old, new } = change;
    if old.as_ref().map(home) == new.as_ref().map(home) {
        return Vec::new();
    }
    let sides = [(old, -1), (new, 1)];
    sides
        .into_iter()
        .flat_map(|(record, by)| record.iter().flat_map(move |record| counted(record, by)))
        .collect()
}

/// What decides where a record is counted.
fn home(record: &Record) -> (&Owner, &RecordKind, Option<&RecordStatus>) {
    (&record.owner, &record.kind, record.status.as_ref())
}

fn counted(record: &Record, by: i64) -> [Delta; 2] {
    let place = Place::new(Bucket::Total, Group::Records(record.kind.clone(), record.status.clone()));
    [record.owner.as_str(), ALL_OWNERS].map(|scope| Delta {
        scope: scope.to_owned(),
        place: place.clone(),
        cell: Cell::Records,
        by,
    })
}

/// How many records a scope has of these kinds, or of all; `None`: there are more pairs of kind and status than are
/// read, [`MAX_RECORD_PAIRS`].
pub async fn count_records(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kinds: &BTreeSet<RecordKind>,
) -> Result<Option<RecordCounts>, StoreError> {
    let names = Place::records(kinds.first().zip(kinds.last()));
    let (counts, are_all) = read(store, tables, owner.as_str(), names, MAX_RECORD_PAIRS).await?;
    Ok(are_all.then_some(counts))
}

/// How many records all owners have; whether these are all pairs of kind and status, or only the first
/// [`MAX_RECORD_SERIES`].
pub(super) async fn scrape_records(
    store: &Store,
    tables: &Tables,
) -> Result<(RecordCounts, bool), StoreError> {
    read(store, tables, ALL_OWNERS, Place::records(None), MAX_RECORD_SERIES).await
}

/// Reads at most so many pairs, and says whether these are all.
async fn read(
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

fn counted_in(item: &AttributeMap) -> Result<((RecordKind, Option<RecordStatus>), u64), Corrupt> {
    let place = place_of(item)?;
    let Group::Records(kind, status) = place.group else {
        return Err(Corrupt::new(place, "does not count records"));
    };
    Ok(((kind, status), Tally::of_item(item).count(Cell::Records)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{RecordId, Timestamp};
    use crate::tally::Fold;

    fn record(owner: &str, status: Option<&str>, at: i64) -> Record {
        Record {
            owner: Owner::try_from(owner).unwrap(),
            kind: RecordKind::try_from("source").unwrap(),
            id: RecordId::try_from("1").unwrap(),
            status: status.map(|status| RecordStatus::try_from(status).unwrap()),
            job_id: None,
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(at),
        }
    }

    fn moved(old: Option<Record>, new: Option<Record>) -> Vec<(String, String, i64)> {
        let deltas = record_deltas(&RecordChange { old, new }).into_iter();
        deltas.map(|delta| (delta.scope, delta.place.to_string(), delta.by)).collect()
    }

    #[test]
    fn a_record_is_counted_where_it_is() {
        let told = |scope: &str, name: &str, by| (scope.to_owned(), format!("records#source#{name}"), by);
        let (plain, ready) = (|| Some(record("ann", None, 1)), || Some(record("ann", Some("ready"), 2)));
        assert_eq!(moved(None, plain()), [told("ann", "", 1), told("*", "", 1)]);
        assert_eq!(
            moved(plain(), ready()),
            [told("ann", "", -1), told("*", "", -1), told("ann", "ready", 1), told("*", "ready", 1)]
        );
        assert_eq!(moved(ready(), None), [told("ann", "ready", -1), told("*", "ready", -1)]);
        // The same again, later: nothing that is counted.
        assert_eq!(moved(ready(), Some(record("ann", Some("ready"), 9))), []);
        assert_eq!(moved(None, None), []);
    }

    #[test]
    fn what_comes_and_goes_leaves_nothing_to_write() {
        let mut fold = Fold::default();
        let (made, ready) = (record("ann", None, 1), record("ann", Some("ready"), 2));
        for (old, new) in [(None, Some(made.clone())), (Some(made), Some(ready.clone())), (Some(ready), None)]
        {
            assert!(fold.add(&record_deltas(&RecordChange { old, new })));
        }
        assert!(fold.is_empty());
    }
}
