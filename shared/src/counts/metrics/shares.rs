//! Which records are shown where they have more kinds and statuses than a scrape shows.

use super::series::share_series;
use crate::counts::read::RecordCounts;
use crate::domain::Timestamp;
use crate::store::{Ledger, Memory, StoreError};

/// How long the counts that were read are shown, in milliseconds: to ask owner by owner is dear, and a caller who may
/// scrape could cause it over and over.
const KEPT_MS: i64 = 60_000;

/// The records that this execution environment read last, if they were too many.
#[derive(Debug, Default)]
pub(super) struct Shares {
    read: Memory<(), RecordCounts>,
}

impl Shares {
    /// The counts to show, not older than a minute.
    pub(super) async fn get(&self, ledger: &Ledger, now: Timestamp) -> Result<RecordCounts, StoreError> {
        if let Some(counts) = self.read.recall(&(), now) {
            return Ok(counts);
        }
        let counts = share_series(&ledger.store, &ledger.config.tables).await?;
        self.read.remember((), counts.clone(), now, KEPT_MS);
        Ok(counts)
    }
}
