//! The owners that have jobs, and how many of each type.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::StatusCounts;
use super::items::{each_item, name_of, read_items};
use crate::counts::{Bucket, Group, Place, Tally};
use crate::domain::{Owner, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{BUCKET, OWNERS, SCOPE};
use crate::store::value::s;
use crate::store::{AttributeMap, Corrupt, Source, Store, StoreError, Tables};

/// Owners whose totals are read at once: as many as DynamoDB gives.
const OWNERS_A_READ: usize = 100;

/// The owners that were ever counted.
pub async fn owners(source: Source<'_>) -> Result<Vec<Owner>, StoreError> {
    // Names have letters, digits, '-', '.', ':' and '_': all of them lie between these two.
    let items = read_items(source.store, source.tables, OWNERS, "!", "~").await?;
    Ok(items.iter().filter_map(|item| Owner::try_from(name_of(item)).ok()).collect())
}

/// Tells the numbers of each type, of one owner or of all, one type after the other. Items that cannot be read
/// are left out.
pub async fn each_type(
    store: &Store,
    tables: &Tables,
    scope: &str,
    mut each: impl FnMut(TypeName, &Tally),
) -> Result<(), StoreError> {
    let (first, last) = Place::totals();
    each_item(store, tables, scope, &first, &last, |item| {
        if let Some(Place { group: Group::Type(kind), .. }) = Place::parse(name_of(&item)) {
            each(kind, &Tally::of_item(&item));
        }
    })
    .await
}

/// How many jobs these owners have, each of all types together. Owners that were never counted are left out.
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
