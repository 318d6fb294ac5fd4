//! Into how many parts the indexes are split, agreed on by all functions while the number grows.
//!
//! A job that is written into a part which some reader does not know yet would be missing from its lists. CloudFormation
//! updates functions one after the other, so their settings differ for a while. So the number is kept in `settings`, too:
//! a writer that is told a higher one records it there, and goes on with the lower one until every reader must have
//! looked. Readers read all parts that either their own setting or the record names.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Corrupt, Ledger, StoreError, Written, plans};
use crate::domain::Timestamp;

/// How long the record is remembered, in milliseconds.
const REMEMBERED_MS: i64 = 60_000;
/// How long after it was recorded a higher number is used by writers: three times as long as a reader may not know it.
const GRACE_MS: i64 = 3 * REMEMBERED_MS;
/// The place of the record: its kind.
const KIND: &str = "indexes";
/// And its id.
const ID: &str = "shards";

/// The content of the record in `settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// How many parts there are.
    shards: u16,
    /// How many there were before.
    before: u16,
    /// Since when, in milliseconds.
    since: i64,
}

impl Record {
    /// Into how many parts new jobs may go.
    fn open(self, now: Timestamp) -> u16 {
        if now.millis() >= self.since.saturating_add(GRACE_MS) { self.shards } else { self.before }
    }
}

/// The record, as it was last read, and until when that holds.
#[derive(Debug, Default)]
pub(super) struct Shards {
    seen: Mutex<Option<Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    record: Option<Record>,
    until: Timestamp,
}

impl Shards {
    fn remembered(&self, now: Timestamp) -> Option<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.filter(|seen| now < seen.until)
    }

    fn remember(&self, record: Option<Record>, now: Timestamp) {
        let until = now.plus_millis(REMEMBERED_MS);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Seen { record, until });
    }
}

impl Ledger {
    async fn record(&self) -> Result<Option<Record>, StoreError> {
        let now = (self.clock)();
        if let Some(seen) = self.shards.remembered(now) {
            return Ok(seen.record);
        }
        let plan = plans::get_setting(&self.config.tables, KIND, ID).consistent_read(true);
        let record = self.store.get(plan).await?.map(serde_dynamo::from_item).transpose();
        let record = record.map_err(|error| Corrupt::new("number of index shards", error))?;
        self.shards.remember(record, now);
        Ok(record)
    }

    /// How many parts may hold jobs.
    pub(super) async fn shards_to_read(&self) -> Result<u16, StoreError> {
        let recorded = self.record().await?.map_or(1, |record| record.shards);
        Ok(recorded.max(self.config.index_shards))
    }

    /// Over how many parts new jobs are spread.
    pub async fn shards_to_write(&self) -> Result<u16, StoreError> {
        let (wanted, now) = (self.config.index_shards, (self.clock)());
        let seen = self.record().await?;
        if let Some(record) = seen.filter(|record| wanted <= record.shards) {
            return Ok(wanted.min(record.open(now)));
        }
        // Before the first record there are no jobs that a reader could miss.
        let open = seen.map_or(wanted, |record| record.open(now));
        let record = Record { shards: wanted, before: open, since: now.millis() };
        let item =
            serde_dynamo::to_item(record).map_err(|error| Corrupt::new("number of index shards", error))?;
        let plan = plans::put_setting(&self.config.tables, KIND, ID, item);
        let plan = match seen {
            None => plan.condition_expression("attribute_not_exists(shards)"),
            Some(record) => plan
                .condition_expression("shards = :seen")
                .expression_attribute_values(":seen", super::value::n(record.shards)),
        };
        match self.store.put(plan).await? {
            Written::Done(_) => self.shards.remember(Some(record), now),
            // Somebody else was faster: looked at again by the next call.
            Written::Refused(_) => self.shards.remember(seen, now.plus_millis(-REMEMBERED_MS)),
        }
        Ok(open)
    }
}
