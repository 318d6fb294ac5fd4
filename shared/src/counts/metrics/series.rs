//! Which counts of records a scrape shows: all of them, or, where they are too many, as many of each owner.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::counts::read::{RecordCounts, RecordPair, counted_in, name_of, range, read_records};
use crate::counts::{Bucket, Group, Place};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{ALL_OWNERS, BUCKET, OWNERS, SCOPE};
use crate::store::value::s;
use crate::store::{AttributeMap, Corrupt, Store, StoreError, Tables};

/// Most pairs of kind and status that a scrape shows: a caller who may write can make any number.
pub const MAX_RECORD_SERIES: usize = 500;
/// Most pairs of one owner that are asked for where all are too many.
pub const MAX_RECORD_SERIES_OF_OWNER: usize = 100;
/// Most owners that are asked then.
const MAX_OWNERS_ASKED: i32 = 1_000;
/// Counts that one request reads: as many as DynamoDB gives.
const COUNTS_A_READ: usize = 100;

/// How many records all owners have; whether these are all pairs of kind and status, or only the first
/// [`MAX_RECORD_SERIES`].
pub(super) async fn scrape_records(
    store: &Store,
    tables: &Tables,
) -> Result<(RecordCounts, bool), StoreError> {
    read_records(store, tables, ALL_OWNERS, Place::records(None), MAX_RECORD_SERIES).await
}

/// How many records all owners have of [`MAX_RECORD_SERIES`] pairs, where there are more than that: as many of each
/// owner as fit, so that nobody who makes many pushes the few of others out. The sums of all owners cannot say whose
/// they are; so the owners are asked, one by one.
pub(super) async fn share_series(store: &Store, tables: &Tables) -> Result<RecordCounts, StoreError> {
    // Names have letters, digits, '-', '.', ':' and '_': all of them lie between these two.
    let owners = store.query(range(tables, OWNERS, "!", "~").limit(MAX_OWNERS_ASKED)).await?;
    let owners: Vec<_> = owners.items.unwrap_or_default();
    let reads = owners.iter().map(|owner| async move {
        let most = MAX_RECORD_SERIES_OF_OWNER;
        let (counts, _) = read_records(store, tables, name_of(owner), Place::records(None), most).await?;
        Ok::<_, StoreError>(largest_first(counts))
    });
    let reads: Vec<_> = reads.collect();
    let pairs: Vec<Vec<RecordPair>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let chosen: Vec<RecordPair> = share(&pairs, MAX_RECORD_SERIES).into_iter().collect();
    let reads: Vec<_> = chosen.chunks(COUNTS_A_READ).map(|pairs| sums(store, tables, pairs)).collect();
    let found: Vec<RecordCounts> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().filter(|(_, count)| *count > 0).collect())
}

fn largest_first(counts: RecordCounts) -> Vec<RecordPair> {
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(pair, _)| pair).collect()
}

/// So many pairs of all: the first of each owner, then the second of each, until they are enough.
fn share(owners: &[Vec<RecordPair>], most: usize) -> BTreeSet<RecordPair> {
    let mut chosen = BTreeSet::new();
    let rounds = owners.iter().map(Vec::len).max().unwrap_or(0);
    for pair in (0..rounds).flat_map(|round| owners.iter().filter_map(move |pairs| pairs.get(round))) {
        if chosen.len() == most {
            break;
        }
        chosen.insert(pair.clone());
    }
    chosen
}

/// How many records of these all owners have together.
async fn sums(store: &Store, tables: &Tables, pairs: &[RecordPair]) -> Result<RecordCounts, StoreError> {
    let items = store.batch_get(sums_of(tables, pairs)?).await?.into_values().flatten();
    Ok(items.map(|item| counted_in(&item)).collect::<Result<_, Corrupt>>()?)
}

fn sums_of(tables: &Tables, pairs: &[RecordPair]) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let keys = pairs.iter().map(|(kind, status)| {
        let place = Place::new(Bucket::Total, Group::Records(kind.clone(), status.clone()));
        AttributeMap::from([(SCOPE.to_owned(), s(ALL_OWNERS)), (BUCKET.to_owned(), s(place))])
    });
    let keys = KeysAndAttributes::builder().set_keys(Some(keys.collect())).build();
    let keys = keys.map_err(|error| Corrupt::new("batch of counts", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.tallies, keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RecordKind;

    fn pairs(words: &[&str]) -> Vec<RecordPair> {
        words.iter().map(|word| (RecordKind::try_from(*word).unwrap(), None)).collect()
    }

    #[test]
    fn who_has_many_pushes_nobody_out() {
        let many: Vec<String> = (0..100).map(|number| format!("flood-{number:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let owners = [pairs(&many), pairs(&["z1", "z2"]), pairs(&[]), pairs(&["z1", "z3", "z4"])];
        let chosen = share(&owners, 10);
        assert_eq!(chosen.len(), 10);
        for pair in pairs(&["z1", "z2", "z3", "z4", "flood-000", "flood-005"]) {
            assert!(chosen.contains(&pair), "{pair:?}");
        }
        // With fewer places than owners have, each has some.
        assert_eq!(share(&owners, 2), pairs(&["flood-000", "z1"]).into_iter().collect());
        assert_eq!(share(&owners, 1_000).len(), 104);
        assert_eq!(share(&[], 10), BTreeSet::new());
    }

    #[test]
    fn the_largest_of_an_owner_come_first() {
        let counts = pairs(&["a", "b", "c"]).into_iter().zip([1, 7, 3]).collect();
        assert_eq!(largest_first(counts), pairs(&["b", "c", "a"]));
    }
}
