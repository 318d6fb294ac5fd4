//! The data of jobs beside their heads: removed once the head is gone; attempts that the head tells no more are kept.

use super::Jobs;
use crate::domain::{Head, Timestamp, Try};
use crate::store::schema::PART;
use crate::store::tries::{MAX_KEPT_TRIES, delete_try, encode_try, find_tries, try_part};
use crate::store::{AttributeMap, Ledger, StoreError, plans};

impl Jobs<'_> {
    /// Removes the data that a removed job leaves behind. It may be done again.
    pub async fn remove_data(&self, head: &Head, now: Timestamp) -> Result<(), StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let (tables, job) = (&config.tables, &head.job);
        self.ledger.remove_parts(head, None).await?;
        self.ledger.sweep_parts(job.id, now).await?;
        // Only once there was a second one is any but the last a part.
        if job.last_try.as_ref().is_none_or(|tried| tried.number < 2) {
            return Ok(());
        }
        let mut from: Option<AttributeMap> = None;
        loop {
            let page = store.query(find_tries(tables, job.id).set_exclusive_start_key(from)).await?;
            for item in page.items.unwrap_or_default() {
                if let Some(part) = item.get(PART).and_then(|part| part.as_s().ok()) {
                    store.delete(delete_try(tables, job, part)).await?;
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Keeps an attempt that the head of its job tells no more, and removes the first one if there are too many. It may be
    /// done again.
    pub async fn keep_try(&self, head: &Head, tried: &Try) -> Result<(), StoreError> {
        let (store, tables) = (&self.ledger.store, &self.ledger.config.tables);
        store.put(plans::put_part(tables, encode_try(&head.job, tried)?)).await?;
        if let Some(first) = tried.number.checked_sub(MAX_KEPT_TRIES).filter(|first| *first > 0) {
            store.delete(delete_try(tables, &head.job, &try_part(first))).await?;
        }
        Ok(())
    }
}
