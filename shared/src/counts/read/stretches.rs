//! How many jobs were created in each stretch of time that a range is made of.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::read_buckets;
use super::{Segment, Span, StatusCounts};
use crate::counts::{Bucket, Cell, Granularity, Group, Tally};
use crate::domain::{CreatedRange, JobQuery, Timestamp, TypeName};
use crate::store::pages::{READS_AT_ONCE, count_rows};
use crate::store::ranges::{Bounds, exact_ranges};
use crate::store::{Source, StoreError};

/// A stretch of time, and how many jobs of a list were created in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Which spans it consists of; `None`: the rest of a minute, counted by its rows.
    pub(crate) granularity: Option<Granularity>,
    pub(crate) count: u64,
    /// The next shorter spans in it, where reading it told them too.
    pub(crate) parts: Vec<Counted>,
}

/// Whose numbers make up those of a list: everybody's, or each type's.
pub(super) fn groups(types: &BTreeSet<TypeName>) -> Vec<Group> {
    if types.is_empty() { vec![Group::All] } else { types.iter().cloned().map(Group::Type).collect() }
}

/// Counts each stretch; a stretch of several spans becomes as many parts. All are read side by side.
pub(crate) async fn count_segments(
    source: Source<'_>,
    query: &JobQuery,
    segments: &[Segment],
) -> Result<Vec<Counted>, StoreError> {
    let reads = segments.iter().copied().map(|segment| count_segment(source, query, segment));
    let counted: Vec<Vec<Counted>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(counted.into_iter().flatten().collect())
}

async fn count_segment(
    source: Source<'_>,
    query: &JobQuery,
    segment: Segment,
) -> Result<Vec<Counted>, StoreError> {
    let Segment { from, to, span } = segment;
    match span {
        Span::Rows => {
            let bounds = Bounds::of(CreatedRange::new(Some(from), Some(to)).unwrap_or(CreatedRange::ALL));
            let count =
                count_rows(source.store, source.tables, &exact_ranges(query, source.shards), &bounds).await?;
            Ok(vec![Counted { from, to, granularity: None, count, parts: Vec::new() }])
        }
        Span::Buckets(granularity) => {
            let mut spans: BTreeMap<Timestamp, StatusCounts> = BTreeMap::new();
            let mut parts: BTreeMap<Timestamp, StatusCounts> = BTreeMap::new();
            for (_, bucket, tally) in read_segment(source, query, &query.types, granularity, from, to).await?
            {
                if granularity == Granularity::Month {
                    spans.insert(
                        bucket,
                        spans.get(&bucket).copied().unwrap_or_default().plus(&StatusCounts::of(&tally)),
                    );
                    by_slot(&mut parts, &tally, Granularity::Day, bucket);
                } else {
                    by_slot(&mut spans, &tally, granularity, bucket);
                }
            }
            spans.retain(|start, _| (from..=to).contains(start));
            let counted = |granularity: Granularity, from: Timestamp, counts: &StatusCounts, parts| {
                let (to, count) = (granularity.end(from), counts.sum(query));
                Counted { from, to, granularity: Some(granularity), count, parts }
            };
            let spans = spans.iter().map(|(from, counts)| {
                let days = parts.range(*from..=granularity.end(*from));
                let days = days.map(|(from, counts)| counted(Granularity::Day, *from, counts, Vec::new()));
                counted(granularity, *from, counts, days.collect())
            });
            Ok(spans.collect())
        }
    }
}

/// The buckets of some types (none: of all jobs together) that tell the spans of a stretch, each with its beginning.
pub(super) async fn read_segment(
    source: Source<'_>,
    query: &JobQuery,
    types: &BTreeSet<TypeName>,
    granularity: Granularity,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(Option<TypeName>, Timestamp, Tally)>, StoreError> {
    let (first, last) = (granularity.container_of(from), granularity.container_of(to));
    let reads = groups(types).into_iter().map(|group| async move {
        let owner = query.owner.as_str();
        let buckets = read_buckets(source.store, source.tables, owner, &group, first, last).await?;
        let kind = if let Group::Type(kind) = group { Some(kind) } else { None };
        let started = buckets.into_iter().filter_map(|(bucket, tally)| match bucket {
            Bucket::Span(_, start) | Bucket::Minutes(start) => Some((kind.clone(), start, tally)),
            Bucket::Total => None,
        });
        Ok::<_, StoreError>(started.collect::<Vec<_>>())
    });
    let read: Vec<Vec<_>> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    Ok(read.into_iter().flatten().collect())
}

/// Adds a bucket's numbers to the shorter spans that it tells.
fn by_slot(
    spans: &mut BTreeMap<Timestamp, StatusCounts>,
    tally: &Tally,
    granularity: Granularity,
    bucket: Timestamp,
) {
    for (cell, value) in tally.cells() {
        if let Cell::AliveIn(slot, status) = cell {
            spans.entry(granularity.start_of(bucket, slot)).or_default().add_one(status, value);
        }
    }
}
