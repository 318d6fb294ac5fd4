//! All numbers of an owner's jobs, added up; and those of them that other modules ask for: bytes, and a type's mean.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{read_buckets, read_named, read_one};
use super::stretches::groups;
use super::{Span, StatusCounts, whole_segments};
use crate::counts::past::past_of;
use crate::counts::{Bucket, Cell, Granularity, Group, Measure, Place, Tally};
use crate::domain::{CreatedRange, Owner, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Ledger, Source, Store, StoreError, Tables};

/// The bytes that a job takes besides its inputs and outputs: its head, and its rows in the indexes. An estimate, so
/// that jobs without a payload are not free.
pub const HEAD_BYTES: u64 = 1_024;

/// All numbers of an owner's jobs that were created within dates, which are widened to whole hours. No types stand for all.
pub(super) async fn sum(
    source: Source<'_>,
    owner: &Owner,
    types: &BTreeSet<TypeName>,
    created: CreatedRange,
) -> Result<Tally, StoreError> {
    let Source { store, tables, .. } = source;
    if created == CreatedRange::ALL {
        let names = totals(types).chain(types.iter().map(past_of)).collect();
        return sum_of(source, owner, names).await;
    }
    let segments = whole_segments(created, Granularity::Hour);
    let reads = groups(types).into_iter().flat_map(|group| {
        let reads = segments.iter().filter_map(move |segment| {
            let Span::Buckets(length) = segment.span else { return None };
            let (first, last) = (Bucket::of(length, segment.from), Bucket::of(length, segment.to));
            let group = group.clone();
            Some(async move { read_buckets(store, tables, owner.as_str(), &group, first, last).await })
        });
        reads.collect::<Vec<_>>()
    });
    let reads: Vec<_> = reads.collect();
    let read: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut sum = Tally::default();
    for (_, tally) in read.into_iter().flatten() {
        sum.add(&tally);
    }
    Ok(sum)
}

/// The names of the totals of these types, or of all together.
pub(super) fn totals(types: &BTreeSet<TypeName>) -> impl Iterator<Item = String> {
    groups(types).into_iter().map(|group| Place::new(Bucket::Total, group).to_string())
}

/// The sum of an owner's items of these names.
pub(super) async fn sum_of(
    source: Source<'_>,
    owner: &Owner,
    names: Vec<String>,
) -> Result<Tally, StoreError> {
    let Source { store, tables, .. } = source;
    let reads = names.iter().map(|name| read_named(store, tables, owner.as_str(), name));
    let reads: Vec<_> = reads.collect();
    let tallies: Vec<Tally> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut sum = Tally::default();
    for tally in &tallies {
        sum.add(tally);
    }
    Ok(sum)
}

/// All numbers of an owner's jobs.
pub(super) async fn total_of(source: Source<'_>, owner: &Owner) -> Result<Tally, StoreError> {
    let place = Place::new(Bucket::Total, Group::All);
    read_one(source.store, source.tables, owner.as_str(), &place).await
}

/// Bytes that an owner's jobs take, as they have been counted: some seconds ago.
pub async fn used_bytes(ledger: &Ledger, owner: &Owner) -> Result<u64, StoreError> {
    Ok(bytes_of(&total_of(ledger.source().await?, owner).await?))
}

/// Bytes that the jobs of a tally take: of their inputs and outputs, and so much for each.
pub(super) fn bytes_of(tally: &Tally) -> u64 {
    let jobs = StatusCounts::of(tally).total();
    tally.count(Cell::Bytes).saturating_add(jobs.saturating_mul(HEAD_BYTES))
}

/// The mean time that jobs of a type run, in milliseconds; `None`: none has run yet.
pub async fn mean_run_ms(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
) -> Result<Option<u64>, StoreError> {
    let place = Place::new(Bucket::Total, Group::Type(kind.clone()));
    let tally = read_one(store, tables, owner.as_str(), &place).await?;
    Ok(tally.mean_ms(Measure::Run))
}
