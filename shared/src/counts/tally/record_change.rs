//! One stream record: a record of a job's product as it was and as it is; and by how much that moves which count.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Delta;
use crate::counts::{Bucket, Cell, Group, Place};
use crate::domain::{Owner, Record, RecordKind, RecordStatus};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{Store, StoreError, Tables};

/// A record before and after a write: `None` before it is made and after it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordChange {
    /// As it was.
    pub(super) old: Option<Record>,
    /// As it is.
    pub(super) new: Option<Record>,
}

/// All that such a change moves: where a record was counted, one less, and where it is now, one more.
pub(super) fn record_deltas(change: &RecordChange) -> Vec<Delta> {
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

/// The values that decide where a record is counted.
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
        example: None,
        code: None,
    })
}

/// The counts that these moves, in order, may have left at nothing: those whose last move was downwards.
pub(super) fn lessened<'a>(deltas: impl IntoIterator<Item = &'a Delta>) -> BTreeSet<(&'a str, &'a Place)> {
    let mut last = BTreeMap::new();
    for delta in deltas {
        if delta.cell == Cell::Records {
            last.insert((delta.scope.as_str(), &delta.place), delta.by);
        }
    }
    last.into_iter().filter(|(_, by)| *by < 0).map(|(count, _)| count).collect()
}

/// Removes those of these counts that are at nothing: otherwise a caller who may write could fill the tallies with
/// them. To do it at any time and any number of times is safe: a count that comes again begins at nothing.
pub(super) async fn remove_empty(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::tally::Fold;
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
