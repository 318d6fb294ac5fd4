//! One scrape: the numbers that `GET /metrics` shows.

use std::collections::BTreeMap;

use super::lag::Probing;
use super::scrape::{Scrape, scrape};
use super::shares::Shares;
use crate::counts::tally::Stream;
use crate::domain::Timestamp;
use crate::store::{Ledger, StoreError};

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
    /// How far the counts lag behind the jobs.
    pub lag_ms: u64,
    /// The current time.
    pub now: Timestamp,
}

impl Gatherer {
    /// Reads the numbers, and sends a probe if the last one is old enough.
    pub async fn gather(&self, ledger: &Ledger, now: Timestamp) -> Result<Gathered, StoreError> {
        let read = scrape(&ledger.store, &ledger.config.tables, now);
        let (scrape, ()) = tokio::join!(read, self.probing.send(ledger, now));
        let mut scrape = scrape?;
        if scrape.are_records_cut {
            scrape.records = self.shares.get(ledger, now).await?;
        }
        let lag_ms = self.probing.lag_ms(scrape.probe, now);
        Ok(Gathered { scrape, lag_ms, now })
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
