//! How many jobs a list has, without reading it: sums over buckets.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, range, read_items, read_one};
use super::stretches::{count_segments, groups};
use super::{StatusCounts, segments};
use crate::counts::{Bucket, Group, Place, Tally};
use crate::domain::{CreatedRange, JobQuery, Owner, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Source, StoreError};

/// Past so many types, all of an owner's are read at once and not one by one.
const MAX_TYPES_ONE_BY_ONE: usize = 4;

/// How many jobs a list has, as far as type, status and dates decide.
pub async fn total(source: Source<'_>, query: &JobQuery) -> Result<u64, StoreError> {
    if query.created == CreatedRange::ALL {
        if query.types.len() > MAX_TYPES_ONE_BY_ONE {
            return Ok(totals(source, query).await?.sum(query));
        }
        let reads = groups(&query.types).into_iter().map(|group| async move {
            let place = Place::new(Bucket::Total, group);
            let tally = read_one(source.store, source.tables, query.owner.as_str(), &place).await?;
            Ok::<_, StoreError>(StatusCounts::of(&tally).sum(query))
        });
        let totals: Vec<u64> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
        return Ok(totals.into_iter().sum());
    }
    let counted = count_segments(source, query, &segments(query.created)).await?;
    Ok(counted.iter().map(|part| part.count).sum())
}

/// How many jobs an owner has by status: all together, and of each type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) all: StatusCounts,
    pub(crate) types: BTreeMap<TypeName, StatusCounts>,
}

impl Totals {
    /// How many jobs a list has, as far as type and status decide.
    pub(crate) fn sum(&self, query: &JobQuery) -> u64 {
        if query.types.is_empty() {
            return self.all.sum(query);
        }
        query.types.iter().filter_map(|kind| self.types.get(kind)).map(|counts| counts.sum(query)).sum()
    }
}

/// Reads all of an owner's totals, in one range.
pub(crate) async fn totals(source: Source<'_>, query: &JobQuery) -> Result<Totals, StoreError> {
    let (first, last) = Place::totals();
    let items = read_items(source.store, source.tables, query.owner.as_str(), &first, &last).await?;
    let mut totals = Totals::default();
    for item in items {
        let counts = StatusCounts::of(&Tally::of_item(&item));
        match place_of(&item)?.group {
            Group::All => totals.all = counts,
            Group::Type(kind) => {
                totals.types.insert(kind, counts);
            }
            Group::Label(..) | Group::Records(..) | Group::Failures(..) | Group::Planned(_) => {}
        }
    }
    Ok(totals)
}

/// How many jobs each of some types of an owner has by status, in the order of their names, after one; and whether there
/// are more. No name has a character as low as `!`.
pub async fn types_with_jobs(
    source: Source<'_>,
    owner: &Owner,
    after: Option<&str>,
    limit: i32,
) -> Result<(BTreeMap<TypeName, StatusCounts>, bool), StoreError> {
    let (first, last) = Place::totals();
    let first = format!("{first}@{}", after.map(|after| format!("{after}!")).unwrap_or_default());
    let plan = range(source.tables, owner.as_str(), &first, &last).limit(limit);
    let page = source.store.query(plan).await?;
    let mut types = BTreeMap::new();
    for item in page.items.unwrap_or_default() {
        if let Group::Type(kind) = place_of(&item)?.group {
            types.insert(kind, StatusCounts::of(&Tally::of_item(&item)));
        }
    }
    Ok((types, page.last_evaluated_key.is_some()))
}
