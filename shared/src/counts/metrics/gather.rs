//! One scrape: the numbers that `GET /metrics` shows, and which of them, where there are too many.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::lag::Probing;
use super::scrape::{Scrape, scrape};
use super::shares::Shares;
use crate::counts::tally::Stream;
use crate::counts::{Cell, Tally};
use crate::domain::Timestamp;
use crate::store::{Ledger, StoreError};

/// Most types that a scrape shows: each has some 50 series, callers make as many types as they like, and an answer of a
/// function has an end.
const MAX_TYPES: usize = 500;

/// The memory of one execution environment, from one scrape to the next.
#[derive(Debug, Default)]
pub struct Gatherer {
    probing: Probing,
    shares: Shares,
}

/// The numbers of one scrape.
#[derive(Debug)]
pub struct Gathered {
    /// The scrape that was read.
    pub scrape: Scrape,
    /// How many types are left out of it, as there are too many.
    pub types_left_out: u64,
    /// How far the counts lag behind the jobs.
    pub lag_ms: u64,
    /// The current time.
    pub now: Timestamp,
}

impl Gatherer {
    /// Reads the numbers, and sends a probe if the last one is old enough.
    pub async fn gather(&self, ledger: &Ledger, now: Timestamp) -> Result<Gathered, StoreError> {
        let read = scrape(&ledger.store, &ledger.config.tables);
        let (scrape, ()) = tokio::join!(read, self.probing.send(ledger, now));
        let mut scrape = scrape?;
        if scrape.are_records_cut {
            scrape.records = self.shares.get(ledger, now).await?;
        }
        let lag_ms = self.probing.lag_ms(scrape.probe, now);
        let types_left_out = leave_out(&mut scrape);
        Ok(Gathered { scrape, types_left_out, lag_ms, now })
    }
}

impl Gathered {
    /// The newest record of each stream that was counted, over its shards.
    pub fn counted_until(&self) -> BTreeMap<Stream, Timestamp> {
        let mut newest = BTreeMap::new();
        for checkpoint in &self.scrape.checkpoints {
            if let Some(stream) = checkpoint.stream {
                let until = newest.entry(stream).or_insert(checkpoint.written_at);
                *until = checkpoint.written_at.max(*until);
            }
        }
        newest
    }
}

/// If there are too many types, leaves out those that the fewest jobs ever had; returns how many. New ones are among
/// them: a type that is shown stays, unless others have long passed it.
fn leave_out(scrape: &mut Scrape) -> u64 {
    let excess = scrape.types.len().saturating_sub(MAX_TYPES);
    if excess == 0 {
        return 0;
    }
    let jobs = |tally: &Tally| tally.count(Cell::Created);
    let mut kinds: Vec<_> =
        scrape.types.iter().map(|(kind, tally)| (jobs(tally), Reverse(kind.clone()))).collect();
    kinds.sort_unstable();
    for (_, Reverse(kind)) in kinds.into_iter().take(excess) {
        scrape.types.remove(&kind);
    }
    if let Some(queue) = &mut scrape.queue {
        queue.types.retain(|kind, _| scrape.types.contains_key(kind));
    }
    u64::try_from(excess).unwrap_or(u64::MAX)
}
