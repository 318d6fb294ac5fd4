//! How many jobs a list has, without reading it: sums over buckets.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, read_buckets, read_items, read_one};
use super::{Bucket, Cell, Granularity, Group, Place, Segment, Span, Tally, segments};
use crate::domain::{CreatedRange, JobQuery, Status, Timestamp, TypeName};
use crate::store::pages::{READS_AT_ONCE, count_rows};
use crate::store::ranges::{Bounds, exact_ranges};
use crate::store::{Source, StoreError};

/// Past so many types, all of an owner's are read at once and not one by one.
const MAX_TYPES_ONE_BY_ONE: usize = 4;

/// A stretch of time, and how many jobs of a list were created in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Which spans it consists of; `None`: what is left of a minute, counted by its rows.
    pub(crate) granularity: Option<Granularity>,
    pub(crate) count: u64,
    /// The next shorter spans in it, where reading it told them too.
    pub(crate) parts: Vec<Counted>,
}

/// How many jobs a list has, as far as type, status and dates decide.
pub async fn total(source: Source<'_>, query: &JobQuery) -> Result<u64, StoreError> {
    if query.created == CreatedRange::ALL {
        if query.types.len() > MAX_TYPES_ONE_BY_ONE {
            let totals = totals(source, query).await?;
            return Ok(totals.types.iter().map(|(kind, counts)| totals_of(query, kind, counts)).sum());
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

fn totals_of(query: &JobQuery, kind: &TypeName, counts: &StatusCounts) -> u64 {
    if query.types.contains(kind) { counts.sum(query) } else { 0 }
}

/// How many jobs an owner has by status: all together, and of each type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) all: StatusCounts,
    pub(crate) types: BTreeMap<TypeName, StatusCounts>,
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
            Group::Label(..) | Group::Records(..) => {}
        }
    }
    Ok(totals)
}

/// Whose numbers make up those of a list: everybody's, or each type's.
fn groups(types: &BTreeSet<TypeName>) -> Vec<Group> {
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

/// How many jobs are in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts([i64; Status::ALL.len()]);

impl StatusCounts {
    /// The jobs that are there, of those that a tally counts.
    pub fn of(tally: &Tally) -> Self {
        Self(Status::ALL.map(|status| tally.get(Cell::Alive(status))))
    }

    /// How many are in this one.
    pub fn get(&self, status: Status) -> u64 {
        self.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| count)
    }

    /// Both together.
    #[must_use]
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
        self
    }

    /// Adds to one number.
    pub(crate) fn add_one(&mut self, status: Status, by: i64) {
        for (known, count) in Status::ALL.iter().zip(&mut self.0) {
            if *known == status {
                *count += by;
            }
        }
    }

    /// Each status with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.0.iter().map(|count| u64::try_from(*count).unwrap_or(0)))
    }

    /// Without the statuses that a list does not ask for.
    #[must_use]
    pub(crate) fn only(mut self, query: &JobQuery) -> Self {
        for (status, count) in Status::ALL.iter().zip(&mut self.0) {
            if !(query.statuses.is_empty() || query.statuses.contains(status)) {
                *count = 0;
            }
        }
        self
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// How many are in the statuses that a list asks for.
    pub(crate) fn sum(&self, query: &JobQuery) -> u64 {
        let wanted = |status: Status| query.statuses.is_empty() || query.statuses.contains(&status);
        self.iter().filter(|(status, _)| wanted(*status)).map(|(_, count)| count).sum()
    }
}
