//! How many jobs of each type and status a list has.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::stretches::read_segment;
use super::totals::totals;
use super::{Segment, Span, StatusCounts, segments};
use crate::counts::{Cell, Granularity};
use crate::domain::{CreatedRange, JobQuery, TypeName};
use crate::store::pages::{READS_AT_ONCE, all_rows};
use crate::store::ranges::{Bounds, ranges_by_type};
use crate::store::{Source, StoreError, job_of_row};

/// Most types that are counted one by one within dates: each is some reads.
pub const MAX_TYPES_WITHIN_DATES: usize = 1_000;

/// Jobs by type and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breakdown {
    /// Of each type that has any.
    Of(BTreeMap<TypeName, StatusCounts>),
    /// The owner has more types than are counted one by one: [`MAX_TYPES_WITHIN_DATES`].
    TooManyTypes,
}

/// How many jobs of each type and status a list has, as far as type, status and dates decide.
pub async fn breakdown(source: Source<'_>, query: &JobQuery) -> Result<Breakdown, StoreError> {
    let totals = totals(source, query).await?;
    let mut types = totals.types;
    // A type that has none at all has none within dates: its buckets need not be read.
    let is_wanted = |kind: &TypeName| query.types.is_empty() || query.types.contains(kind);
    types.retain(|kind, counts| is_wanted(kind) && counts.sum(query) > 0);
    if query.created != CreatedRange::ALL {
        if types.len() > MAX_TYPES_WITHIN_DATES {
            return Ok(Breakdown::TooManyTypes);
        }
        types = within_dates(source, query, types.into_keys().collect()).await?;
    }
    Ok(Breakdown::Of(types.into_iter().map(|(kind, counts)| (kind, counts.only(query))).collect()))
}

/// Counts the stretches that the dates are made of, side by side.
async fn within_dates(
    source: Source<'_>,
    query: &JobQuery,
    kinds: BTreeSet<TypeName>,
) -> Result<BTreeMap<TypeName, StatusCounts>, StoreError> {
    let mut types: BTreeMap<TypeName, StatusCounts> = BTreeMap::new();
    if kinds.is_empty() {
        return Ok(types);
    }
    let kinds = &kinds;
    let reads = segments(query.created).into_iter().map(|segment| within(source, query, kinds, segment));
    let counted: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    for (kind, counts) in counted.into_iter().flatten() {
        let sum = types.entry(kind).or_default();
        *sum = sum.plus(&counts);
    }
    Ok(types)
}

/// The counts of each bucket or row of a stretch; a type may come several times.
async fn within(
    source: Source<'_>,
    query: &JobQuery,
    kinds: &BTreeSet<TypeName>,
    segment: Segment,
) -> Result<Vec<(TypeName, StatusCounts)>, StoreError> {
    let Segment { from, to, span } = segment;
    let mut counted = Vec::new();
    match span {
        Span::Buckets(granularity) => {
            for (kind, bucket, tally) in read_segment(source, query, kinds, granularity, from, to).await? {
                let Some(kind) = kind else { continue };
                if granularity == Granularity::Month {
                    counted.push((kind, StatusCounts::of(&tally)));
                    continue;
                }
                let mut counts = StatusCounts::default();
                for (cell, value) in tally.cells() {
                    if let Cell::AliveIn(slot, status) = cell
                        && (from..=to).contains(&granularity.start_of(bucket, slot))
                    {
                        counts.add_one(status, value);
                    }
                }
                counted.push((kind, counts));
            }
        }
        Span::Rows => {
            let range = CreatedRange::new(Some(from), Some(to)).unwrap_or(query.created);
            let ranges = ranges_by_type(query, source.shards);
            for item in all_rows(source.store, source.tables, &ranges, &Bounds::of(range)).await? {
                let job = job_of_row(item)?;
                let (mut counts, status) = (StatusCounts::default(), job.status());
                counts.add_one(status, 1);
                counted.push((job.kind, counts));
            }
        }
    }
    Ok(counted)
}
