//! Statistics of an owner's jobs: how many there are and were, how they ended, and how long they took.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::items::read_buckets;
use super::stretches::groups;
use super::sum::total_of;
use super::{StatusCounts, bytes_of, sum, widened};
use crate::counts::{Bucket, Cell, Granularity, Measure, Tally};
use crate::domain::{CreatedRange, Invalid, Owner, Status, Timestamp, TypeName};
use crate::store::pages::READS_AT_ONCE;
use crate::store::{Jobs, StoreError};

/// Most spans of a series.
const MAX_SPANS: usize = 1_000;

/// The statistics of an owner's jobs that were created within dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStats {
    /// Their numbers.
    pub numbers: JobNumbers,
    /// The same for each hour or day, if that is asked for.
    pub series: Option<Vec<JobNumbers>>,
    /// The bytes that all jobs of the owner take, whenever they were created.
    pub stored_bytes: u64,
}

/// The numbers of jobs that were created within a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobNumbers {
    /// The jobs that are there, by status.
    pub alive: StatusCounts,
    /// Jobs that were ever created.
    pub created: u64,
    /// Jobs that were deleted, or have expired.
    pub removed: u64,
    /// How often jobs ended, by how they ended.
    pub ended: BTreeMap<Status, u64>,
    /// How long jobs ran together, in milliseconds; `None`: none has run yet.
    pub run_ms: Option<u64>,
    /// The mean of that.
    pub mean_run_ms: Option<u64>,
    /// How long jobs waited, in the mean; `None`: none has begun yet.
    pub mean_wait_ms: Option<u64>,
    /// The run times that most jobs do not exceed; `None`: none was measured.
    pub run: Option<Percentiles>,
    /// The same for waits.
    pub wait: Option<Percentiles>,
    /// The range, widened to whole hours or days: those are the buckets that have these numbers.
    pub range: CreatedRange,
}

/// The times that 50, 95 and 99 of a hundred jobs do not exceed, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50_ms: u64,
    /// 95 of a hundred do not exceed it.
    pub p95_ms: u64,
    /// 99 of a hundred do not exceed it.
    pub p99_ms: u64,
}

impl Percentiles {
    fn of(tally: &Tally, measure: Measure) -> Option<Self> {
        Some(Self {
            p50_ms: tally.quantile_ms(measure, 500)?,
            p95_ms: tally.quantile_ms(measure, 950)?,
            p99_ms: tally.quantile_ms(measure, 990)?,
        })
    }
}

/// The hours or days of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spans {
    granularity: Granularity,
    range: CreatedRange,
}

impl Spans {
    /// The hours or days that a range lies in: both its ends must be given.
    pub fn new(granularity: Granularity, created: CreatedRange) -> Result<Self, Invalid> {
        if created.from() == Timestamp::MIN || created.to() == Timestamp::MAX {
            return Err(Invalid::new("needs both dates, such as from_date and to_date"));
        }
        let spans = Self { granularity, range: widened(created, granularity) };
        if spans.starts().take(MAX_SPANS + 1).count() > MAX_SPANS {
            return Err(Invalid(format!("makes at most {MAX_SPANS} entries; narrow the dates, or use day")));
        }
        Ok(spans)
    }

    /// When each of them begins.
    fn starts(self) -> impl Iterator<Item = Timestamp> {
        let next = move |start: &Timestamp| Some(self.granularity.next(*start));
        std::iter::successors(Some(self.range.from()), next)
            .take_while(move |start| *start <= self.range.to())
    }
}

impl JobNumbers {
    fn new(tally: &Tally, range: CreatedRange) -> Self {
        let ends = Status::ALL.into_iter().filter(|status| status.is_ended());
        let runs = tally.count(Cell::Count(Measure::Run));
        Self {
            alive: StatusCounts::of(tally),
            created: tally.count(Cell::Created),
            removed: tally.count(Cell::Removed),
            ended: ends.map(|end| (end, tally.count(Cell::Ended(end)))).collect(),
            run_ms: (runs > 0).then(|| tally.count(Cell::SumMs(Measure::Run))),
            mean_run_ms: tally.mean_ms(Measure::Run),
            mean_wait_ms: tally.mean_ms(Measure::Wait),
            run: Percentiles::of(tally, Measure::Run),
            wait: Percentiles::of(tally, Measure::Wait),
            range,
        }
    }
}

impl Jobs<'_> {
    /// Adds up the numbers of an owner's jobs of these types that were created within dates. No types stand for all.
    pub async fn stats(
        &self,
        owner: &Owner,
        types: &BTreeSet<TypeName>,
        created: CreatedRange,
    ) -> Result<JobStats, StoreError> {
        let source = self.ledger.source().await?;
        let range = widened(created, Granularity::Hour);
        if created == CreatedRange::ALL && types.is_empty() {
            let all = total_of(source, owner).await?;
            let numbers = JobNumbers::new(&all, range);
            return Ok(JobStats { numbers, series: None, stored_bytes: bytes_of(&all) });
        }
        let (all, within) = tokio::try_join!(total_of(source, owner), sum(source, owner, types, created))?;
        let numbers = JobNumbers::new(&within, range);
        Ok(JobStats { numbers, series: None, stored_bytes: bytes_of(&all) })
    }

    /// The same for each hour or day, and all of them together.
    pub async fn stats_series(
        &self,
        owner: &Owner,
        types: &BTreeSet<TypeName>,
        spans: Spans,
    ) -> Result<JobStats, StoreError> {
        let source = self.ledger.source().await?;
        let Spans { granularity, range } = spans;
        let (first, last) = (Bucket::of(granularity, range.from()), Bucket::of(granularity, range.to()));
        let reads = groups(types).into_iter().map(|group| async move {
            read_buckets(source.store, source.tables, owner.as_str(), &group, first, last).await
        });
        let reads: Vec<_> = reads.collect();
        let buckets = stream::iter(reads).buffered(READS_AT_ONCE).try_collect::<Vec<_>>();
        let (all, read) = tokio::try_join!(total_of(source, owner), buckets)?;
        let mut buckets: BTreeMap<Bucket, Tally> = BTreeMap::new();
        for (bucket, tally) in read.into_iter().flatten() {
            buckets.entry(bucket).or_default().add(&tally);
        }
        let mut within = Tally::default();
        let mut series = Vec::new();
        for start in spans.starts() {
            let nothing = Tally::default();
            let tally = buckets.get(&Bucket::of(granularity, start)).unwrap_or(&nothing);
            within.add(tally);
            let span = CreatedRange::new(Some(start), Some(granularity.end(start))).unwrap_or(range);
            series.push(JobNumbers::new(tally, span));
        }
        let numbers = JobNumbers::new(&within, range);
        Ok(JobStats { numbers, series: Some(series), stored_bytes: bytes_of(&all) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(granularity: Granularity, from: &str, to: &str) -> Result<Vec<String>, Invalid> {
        let time = |text| Some(Timestamp::parse(text).unwrap());
        let range = CreatedRange::new(time(from), time(to)).unwrap();
        Ok(Spans::new(granularity, range)?.starts().map(|start| start.to_string()).collect())
    }

    #[test]
    fn a_series_has_each_span_once() {
        assert_eq!(
            spans(Granularity::Hour, "2026-01-11T05:30:00Z", "2026-01-11T07:00:00Z").unwrap(),
            ["2026-01-11T05:00:00.000Z", "2026-01-11T06:00:00.000Z", "2026-01-11T07:00:00.000Z"]
        );
        assert_eq!(
            spans(Granularity::Day, "2026-02-28T05:30:00Z", "2026-03-01T00:00:00Z").unwrap(),
            ["2026-02-28T00:00:00.000Z", "2026-03-01T00:00:00.000Z"]
        );
        let hours = |hours: i64| {
            let from = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
            let to = from.plus_hours(hours).plus_millis(-1);
            Spans::new(Granularity::Hour, CreatedRange::new(Some(from), Some(to)).unwrap()).is_ok()
        };
        assert!(hours(1_000) && !hours(1_001));
        assert!(Spans::new(Granularity::Day, CreatedRange::ALL).is_err());
    }
}
