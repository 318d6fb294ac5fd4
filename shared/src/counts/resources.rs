//! What routes ask of the counts: an operation each.

use std::collections::BTreeSet;

use super::{RecordCounts, Scrape, count_records, scrape, send_probe, share_series};
use crate::domain::{Owner, RecordKind, RecordStatus, Timestamp};
use crate::store::records::Records;
use crate::store::{Error, Ledger};

/// The numbers of all owners, for a scrape.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    ledger: &'a Ledger,
}

impl Ledger {
    /// The numbers of all owners, for a scrape.
    pub fn metrics(&self) -> Metrics<'_> {
        Metrics { ledger: self }
    }
}

impl Metrics<'_> {
    /// All that a scrape shows.
    pub async fn scrape(self) -> Result<Scrape, Error> {
        Ok(scrape(&self.ledger.store, &self.ledger.config.tables).await?)
    }

    /// Writes a probe; returns when the one before it was written.
    pub async fn send_probe(self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        Ok(send_probe(&self.ledger.store, &self.ledger.config.tables, now).await?)
    }

    /// The counts of records to show where they have more kinds and statuses than a scrape shows.
    pub async fn share_series(self) -> Result<RecordCounts, Error> {
        Ok(share_series(&self.ledger.store, &self.ledger.config.tables).await?)
    }
}

impl Records<'_> {
    /// How many records an owner has of these kinds and statuses; none of either stands for all. `None`: there are too many
    /// pairs of kind and status to look at.
    pub async fn count(
        self,
        owner: &Owner,
        kinds: &BTreeSet<RecordKind>,
        statuses: &BTreeSet<Option<RecordStatus>>,
    ) -> Result<Option<RecordCounts>, Error> {
        let Ledger { store, config, .. } = self.ledger;
        Ok(count_records(store, &config.tables, owner, kinds, statuses).await?)
    }
}
