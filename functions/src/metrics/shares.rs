//! Which records are shown where they have more kinds and statuses than a scrape shows.

use jobledger::counts::RecordCounts;
use jobledger::domain::Timestamp;
use jobledger::store::{Error, Ledger, Memory};

/// How long the counts that were read are shown, in milliseconds: to ask owner by owner is dear, and whoever may scrape could
/// have it done over and over.
const KEPT_MS: i64 = 60_000;

/// What this execution environment last read of the records, where they were too many.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    read: Memory<(), RecordCounts>,
}

impl Shares {
    /// The counts to show, not older than a minute.
    pub(crate) async fn get(&self, ledger: &Ledger, now: Timestamp) -> Result<RecordCounts, Error> {
        if let Some(counts) = self.read.recall(&(), now) {
            return Ok(counts);
        }
        let counts = ledger.metrics().share_series().await?;
        self.read.remember((), counts.clone(), now, KEPT_MS);
        Ok(counts)
    }
}
