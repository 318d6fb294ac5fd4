//! Which records are shown where they have more kinds and statuses than a scrape shows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::series::share_series;
use crate::counts::read::RecordCounts;
use crate::domain::Timestamp;
use crate::store::{Ledger, StoreError};

/// How long what was read is shown, in milliseconds: to ask owner by owner is dear, and whoever may scrape could have it
/// done over and over.
const KEPT_MS: u64 = 60_000;

/// What this execution environment last read of the records, where they were too many.
#[derive(Debug, Default)]
pub(super) struct Shares {
    read: Mutex<Option<(Timestamp, RecordCounts)>>,
}

impl Shares {
    /// The counts to show, not older than a minute.
    pub(super) async fn get(&self, ledger: &Ledger, now: Timestamp) -> Result<RecordCounts, StoreError> {
        if let Some((read_at, counts)) = &*self.lock()
            && now.since(*read_at) < KEPT_MS
        {
            return Ok(counts.clone());
        }
        let counts = share_series(&ledger.store, &ledger.config.tables).await?;
        *self.lock() = Some((now, counts.clone()));
        Ok(counts)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, RecordCounts)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
