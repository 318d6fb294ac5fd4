//! What else is summed up over buckets: jobs by type and status, what became of them, and what they cost.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::{place_of, range, read_buckets, read_one};
use super::read::{read_segment, totals};
use super::{
    Bucket, Cell, CostBy, Granularity, Group, Place, Segment, Span, StatusCounts, Tally, segments,
    whole_segments,
};
use crate::domain::{CreatedRange, JobQuery, MicroDollars, Owner, TypeName};
use crate::store::pages::{READS_AT_ONCE, all_rows};
use crate::store::ranges::{Bounds, ranges_by_type};
use crate::store::{Source, StoreError, job_of_row};

/// Most types that are counted one by one within dates: each is some reads.
pub const MAX_TYPES_WITHIN_DATES: usize = 1_000;
/// Most items that costs are added up from: each is a value of the label in a month.
pub const MAX_COST_ITEMS: usize = 100_000;

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

/// What each bucket or row of a stretch counts; a type may come several times.
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

/// All numbers of an owner's jobs that were created within dates, which are widened to whole hours.
pub async fn sum(source: Source<'_>, owner: &Owner, created: CreatedRange) -> Result<Tally, StoreError> {
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

/// What the jobs with one value of a label cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Jobs that ever had it.
    pub jobs: u64,
    /// Their costs.
    pub cost: MicroDollars,
}

/// Costs by the values of a label; `None` is for jobs without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Costs {
    /// Of each value.
    Of(BTreeMap<Option<String>, Spent>),
    /// There are more values and months than are added up at once: [`MAX_COST_ITEMS`].
    TooMany,
}

/// What an owner's jobs cost that were created within dates, which are widened to whole days.
pub async fn costs(
    source: Source<'_>,
    owner: &Owner,
    by: CostBy,
    created: CreatedRange,
) -> Result<Costs, StoreError> {
    let (mut sums, mut items) = (BTreeMap::<Option<String>, (i64, i64)>::new(), 0);
    for segment in whole_segments(created, Granularity::Day) {
        let Segment { from, to, span: Span::Buckets(granularity) } = segment else { continue };
        let (first, last) = Place::labels(by, from, to);
        let mut start = None;
        loop {
            let plan = range(source.tables, owner.as_str(), &first, &last);
            let page = source.store.query(plan.set_exclusive_start_key(start)).await?;
            for item in page.items.unwrap_or_default() {
                items += 1;
                let Place { bucket: Bucket::Span(_, month), group: Group::Label(_, value) } =
                    place_of(&item)?
                else {
                    continue;
                };
                let is_in = |day: u8| (from..=to).contains(&Granularity::Day.start_of(month, day));
                let sum = sums.entry(value).or_default();
                let is_whole = granularity == Granularity::Month;
                for (cell, number) in Tally::of_item(&item).cells() {
                    let (jobs, cost) = match cell {
                        Cell::Jobs if is_whole => (number, 0),
                        Cell::Cost if is_whole => (0, number),
                        Cell::JobsOn(day) if !is_whole && is_in(day) => (number, 0),
                        Cell::CostOn(day) if !is_whole && is_in(day) => (0, number),
                        _ => (0, 0),
                    };
                    *sum = (sum.0.saturating_add(jobs), sum.1.saturating_add(cost));
                }
            }
            if items > MAX_COST_ITEMS {
                return Ok(Costs::TooMany);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
    }
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    // A job that got another label leaves its old one with nothing.
    sums.retain(|_, sum| *sum != (0, 0));
    let spent = |(jobs, cost)| Spent { jobs: number(jobs), cost: MicroDollars::of_sum(number(cost)) };
    Ok(Costs::Of(sums.into_iter().map(|(value, sum)| (value, spent(sum))).collect()))
}
