//! Records: by how much a write moves their counts, and what is counted.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, range};
use super::{Bucket, Cell, Delta, Group, Place, Tally};
use crate::domain::{Owner, Record, RecordKind, RecordStatus};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Store, StoreError, Tables};

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

/// The counts that these moves, in order, may have left at nothing: those whose last move was downwards.
pub fn lessened<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> BTreeSet<(&'a str, &'a Place)> {
    let mut last = BTreeMap::new();
    for delta in deltas {
        if delta.cell == Cell::Records {
            last.insert((delta.scope.as_str(), &delta.place), delta.by);
        }
    }
    last.into_iter().filter(|(_, by)| *by < 0).map(|(count, _)| count).collect()
}

/// Removes those of these counts that are at nothing: whoever may write could fill the tallies with them otherwise. To do
/// it at any time and any number of times is safe: a count that comes again begins at nothing.
pub async fn remove_empty(
    store: &Store,
    tables: &Tables,
    counts: BTreeSet<(&str, &Place)>,
) -> Result<(), StoreError> {
    let removals = counts.into_iter().map(|(scope, place)| {
        let plan = DeleteItemInput::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(scope))
            .key(BUCKET, s(place))
            .condition_expression("#records = :zero")
            .expression_attribute_names("#records", Cell::Records.to_string())
            .expression_attribute_values(":zero", n(0));
        async move { store.delete(plan).await.map(drop) }
    });
    let removals: Vec<_> = removals.collect();
    stream::iter(removals).buffer_unordered(READS_AT_ONCE).try_collect().await
}

/// How many records an owner has of these kinds and statuses, none of either standing for all; `None`: there are more
/// pairs of kind and status to look at than are read, [`MAX_RECORD_PAIRS`].
pub async fn count_records(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kinds: &BTreeSet<RecordKind>,
    statuses: &BTreeSet<Option<RecordStatus>>,
) -> Result<Option<RecordCounts>, StoreError> {
    let reads = ranges(kinds, statuses).into_iter();
    let reads = reads.map(|names| read(store, tables, owner.as_str(), names, MAX_RECORD_PAIRS));
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
pub(super) async fn read(
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

pub(super) fn counted_in(item: &AttributeMap) -> Result<(RecordPair, u64), Corrupt> {
    let place = place_of(item)?;
    let Group::Records(kind, status) = place.group else {
        return Err(Corrupt::new(place, "does not count records"));
    };
    Ok(((kind, status), Tally::of_item(item).count(Cell::Records)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Fold;
    use crate::domain::{RecordId, Timestamp};

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
    fn what_may_be_left_at_nothing_is_what_fell_last() {
        let (plain, ready) = (|| Some(record("ann", None, 1)), || Some(record("ann", Some("ready"), 2)));
        let fallen = |changes: &[(Option<Record>, Option<Record>)]| -> Vec<String> {
            let changes = changes.iter().cloned();
            let deltas: Vec<Delta> =
                changes.flat_map(|(old, new)| record_deltas(&RecordChange { old, new })).collect();
            lessened(&deltas).into_iter().map(|(scope, place)| format!("{scope} {place}")).collect()
        };
        assert_eq!(fallen(&[(None, plain())]), [] as [&str; 0]);
        assert_eq!(
            fallen(&[(None, plain()), (plain(), ready())]),
            ["* records#source#", "ann records#source#"]
        );
        assert_eq!(fallen(&[(plain(), ready()), (ready(), plain()), (None, ready())]), [] as [&str; 0]);
        assert_eq!(fallen(&[(None, ready()), (ready(), None)]).len(), 2);
    }

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
