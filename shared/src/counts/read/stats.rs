//! Statistics of an owner's jobs: how many there are and were, how they ended, and how long they took.

use std::collections::BTreeMap;

use super::{StatusCounts, bytes_of, sum, widened};
use crate::counts::{Cell, Granularity, Measure, Tally};
use crate::domain::{CreatedRange, Owner, Status};
use crate::store::{Jobs, StoreError};

/// The statistics of an owner's jobs that were created within dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStats {
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
    /// The bytes that all jobs of the owner take, whenever they were created.
    pub stored_bytes: u64,
    /// The dates, widened to whole hours: those are the buckets that have these numbers.
    pub range: CreatedRange,
}

impl JobStats {
    fn new(within: &Tally, all: &Tally, created: CreatedRange) -> Self {
        let ends = Status::ALL.into_iter().filter(|status| status.is_ended());
        let runs = within.count(Cell::Count(Measure::Run));
        Self {
            alive: StatusCounts::of(within),
            created: within.count(Cell::Created),
            removed: within.count(Cell::Removed),
            ended: ends.map(|end| (end, within.count(Cell::Ended(end)))).collect(),
            run_ms: (runs > 0).then(|| within.count(Cell::SumMs(Measure::Run))),
            mean_run_ms: within.mean_ms(Measure::Run),
            mean_wait_ms: within.mean_ms(Measure::Wait),
            stored_bytes: bytes_of(all),
            range: widened(created, Granularity::Hour),
        }
    }
}

impl Jobs<'_> {
    /// Adds up the numbers of an owner's jobs that were created within dates.
    pub async fn stats(&self, owner: &Owner, created: CreatedRange) -> Result<JobStats, StoreError> {
        let source = self.ledger.source().await?;
        if created == CreatedRange::ALL {
            let all = sum(source, owner, created).await?;
            return Ok(JobStats::new(&all, &all, created));
        }
        let (all, within) =
            tokio::try_join!(sum(source, owner, CreatedRange::ALL), sum(source, owner, created))?;
        Ok(JobStats::new(&within, &all, created))
    }
}
