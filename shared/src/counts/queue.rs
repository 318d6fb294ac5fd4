//! What is known of the queues: who has jobs that wait or run, by the counts; and what only a look at them can tell,
//! noted once a minute for the metrics.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{name_of, read_items};
use super::{Bucket, Group, Place, StatusCounts, Tally};
use crate::domain::{Owner, Timestamp, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{ALL_OWNERS, BUCKET, OWNERS, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Source, Store, StoreError, Tables};

/// Most types that a note tells of: it is read at every scrape.
pub const MAX_NOTED_TYPES: usize = 500;

/// The note's place among the buckets of all owners.
pub(super) const QUEUE_BUCKET: &str = "queue";
/// Owners whose totals are read at once: as many as DynamoDB gives.
const OWNERS_A_READ: usize = 100;

/// What was seen of the queues of all owners together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNote {
    /// When.
    pub noted_at: Timestamp,
    /// How many workers held a job.
    pub workers: u64,
    /// By type; those of which no job waits or is held may be left out.
    pub types: BTreeMap<TypeName, NotedType>,
}

/// What was seen of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotedType {
    /// Since when the job waits that has been due for longest; `None`: none that is due waits.
    pub oldest_due: Option<Timestamp>,
    /// How many jobs are held by workers.
    pub tries: u64,
}

impl QueueNote {
    pub(super) fn of_item(item: &AttributeMap) -> Option<Self> {
        let types = item.get("types")?.as_m().ok()?.iter().filter_map(|(kind, noted)| {
            let noted = noted.as_m().ok()?;
            let noted = NotedType {
                oldest_due: number(noted, "due").map(Timestamp::from_millis),
                tries: number(noted, "tries").and_then(|tries| u64::try_from(tries).ok()).unwrap_or(0),
            };
            Some((TypeName::try_from(kind.as_str()).ok()?, noted))
        });
        Some(Self {
            noted_at: Timestamp::from_millis(number(item, "noted_at")?),
            workers: u64::try_from(number(item, "workers")?).ok()?,
            types: types.collect(),
        })
    }

    /// Writes it down in the place of the last one.
    pub async fn record(&self, store: &Store, tables: &Tables) -> Result<(), StoreError> {
        let types = self.types.iter().map(|(kind, noted)| {
            let mut value = AttributeMap::from([("tries".to_owned(), n(noted.tries))]);
            value.extend(noted.oldest_due.map(|due| ("due".to_owned(), n(due.millis()))));
            (kind.to_string(), AttributeValue::M(value))
        });
        let plan = PutItemInput::builder()
            .table_name(&tables.tallies)
            .item(SCOPE, s(ALL_OWNERS))
            .item(BUCKET, s(QUEUE_BUCKET))
            .item("noted_at", n(self.noted_at.millis()))
            .item("workers", n(self.workers))
            .item("types", AttributeValue::M(types.collect()));
        store.put(plan).await.map(drop)
    }
}

fn number(item: &AttributeMap, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// The owners that were ever counted.
pub async fn owners(source: Source<'_>) -> Result<Vec<Owner>, StoreError> {
    // Names have letters, digits, '-', '.', ':' and '_': all of them lie between these two.
    let items = read_items(source.store, source.tables, OWNERS, "!", "~").await?;
    Ok(items.iter().filter_map(|item| Owner::try_from(name_of(item)).ok()).collect())
}

/// How many jobs there are of each type, of one owner or of all. What cannot be read is left out.
pub async fn counts_by_type(
    store: &Store,
    tables: &Tables,
    scope: &str,
) -> Result<BTreeMap<TypeName, StatusCounts>, StoreError> {
    let (first, last) = Place::totals();
    let items = read_items(store, tables, scope, &first, &last).await?;
    let counts = items.iter().filter_map(|item| match Place::parse(name_of(item))?.group {
        Group::Type(kind) => Some((kind, StatusCounts::of(&Tally::of_item(item)))),
        Group::All | Group::Label(..) | Group::Records(..) => None,
    });
    Ok(counts.collect())
}

/// How many jobs these owners have, each of all types together. Whoever was never counted is left out.
pub async fn counts_by_owner(
    source: Source<'_>,
    owners: &[Owner],
) -> Result<BTreeMap<Owner, StatusCounts>, StoreError> {
    let reads = owners.chunks(OWNERS_A_READ).map(|owners| async move {
        let found = source.store.batch_get(totals_of(source.tables, owners)?).await?;
        let counts = found.into_values().flatten().filter_map(|item| {
            let owner = Owner::try_from(item.get(SCOPE)?.as_s().ok()?.as_str()).ok()?;
            Some((owner, StatusCounts::of(&Tally::of_item(&item))))
        });
        Ok::<_, StoreError>(counts.collect::<Vec<_>>())
    });
    let reads: Vec<_> = reads.collect();
    let found: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

fn totals_of(tables: &Tables, owners: &[Owner]) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let total = Place::new(Bucket::Total, Group::All).to_string();
    let owners: BTreeSet<&Owner> = owners.iter().collect();
    let keys = owners
        .into_iter()
        .map(|owner| AttributeMap::from([(SCOPE.to_owned(), s(owner)), (BUCKET.to_owned(), s(&total))]));
    let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build();
    let keys = keys.map_err(|error| Corrupt::new("batch of totals", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.tallies, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_is_no_note_is_passed_over() {
        assert_eq!(QueueNote::of_item(&AttributeMap::new()), None);
        let mut item = AttributeMap::from([
            ("noted_at".to_owned(), n(7)),
            ("workers".to_owned(), n(2)),
            ("types".to_owned(), AttributeValue::M(AttributeMap::from([("a b".to_owned(), n(1))]))),
        ]);
        let empty = QueueNote { noted_at: Timestamp::from_millis(7), workers: 2, types: BTreeMap::new() };
        assert_eq!(QueueNote::of_item(&item), Some(empty));
        item.insert("workers".to_owned(), n(-1));
        assert_eq!(QueueNote::of_item(&item), None);
    }
}
