//! All numbers of an owner's jobs, added up; and those of them that other modules ask for: bytes, and a type's mean.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{read_buckets, read_one};
use super::{Span, StatusCounts, whole_segments};
use crate::counts::{Bucket, Cell, Granularity, Group, Measure, Place, Tally};
use crate::domain::{CreatedRange, Owner, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Ledger, Source, Store, StoreError, Tables};

/// The bytes that a job takes besides its inputs and outputs: its head, and its rows in the indexes. An estimate, so
/// that jobs without a payload are not free.
pub const HEAD_BYTES: u64 = 1_024;

/// All numbers of an owner's jobs that were created within dates, which are widened to whole hours.
pub(super) async fn sum(
    source: Source<'_>,
    owner: &Owner,
    created: CreatedRange,
) -> Result<Tally, StoreError> {
    let Source { store, tables, .. } = source;
    if created == CreatedRange::ALL {
        let place = Place::new(Bucket::Total, Group::All);
        return read_one(store, tables, owner.as_str(), &place).await;
    }
    let reads = whole_segments(created, Granularity::Hour).into_iter().filter_map(|segment| {
        let Span::Buckets(granularity) = segment.span else { return None };
        let (first, last) = (Bucket::of(granularity, segment.from), Bucket::of(granularity, segment.to));
        Some(async move { read_buckets(store, tables, owner.as_str(), &Group::All, first, last).await })
    });
    let read: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut sum = Tally::default();
    for (_, tally) in read.into_iter().flatten() {
        sum.add(&tally);
    }
    Ok(sum)
}

/// Bytes that an owner's jobs take, as they have been counted: some seconds ago.
pub async fn used_bytes(ledger: &Ledger, owner: &Owner) -> Result<u64, StoreError> {
    Ok(bytes_of(&sum(ledger.source().await?, owner, CreatedRange::ALL).await?))
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
