//! The cost of jobs, by the values of a label.

use std::collections::BTreeMap;

use super::items::{place_of, range};
use super::{Segment, Span, whole_segments, widened};
use crate::counts::{Bucket, Cell, CostBy, Granularity, Group, Place, Tally};
use crate::domain::{CreatedRange, MicroDollars, Owner};
use crate::store::{Corrupt, Jobs, Source, StoreError};

/// Most items that costs are added up from: each is a value of the label in a month.
pub const MAX_COST_ITEMS: usize = 100_000;

/// The cost of the jobs with one value of a label.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Jobs that ever had it.
    pub jobs: u64,
    /// Their costs.
    pub cost: MicroDollars,
}

/// The cost of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Costs {
    /// By the values of the label; `None` is for jobs without it.
    pub spent: BTreeMap<Option<String>, Spent>,
    /// The dates, widened to whole days: those are the buckets that have costs.
    pub range: CreatedRange,
}

/// Why costs are not added up.
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more values and months than are added up at once.
    #[error("costs are added up from at most {MAX_COST_ITEMS} sums; ask for fewer days")]
    TooManySums,
}

impl From<Corrupt> for CostError {
    fn from(error: Corrupt) -> Self {
        Self::Store(error.into())
    }
}

impl Jobs<'_> {
    /// Adds up what an owner's jobs cost that were created within dates.
    pub async fn costs(&self, owner: &Owner, by: CostBy, created: CreatedRange) -> Result<Costs, CostError> {
        let spent = costs(self.ledger.source().await?, owner, by, created).await?;
        Ok(Costs { spent, range: widened(created, Granularity::Day) })
    }
}

/// The cost of an owner's jobs that were created within dates. The dates are widened to whole days.
async fn costs(
    source: Source<'_>,
    owner: &Owner,
    by: CostBy,
    created: CreatedRange,
) -> Result<BTreeMap<Option<String>, Spent>, CostError> {
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
                return Err(CostError::TooManySums);
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
    Ok(sums.into_iter().map(|(value, sum)| (value, spent(sum))).collect())
}
