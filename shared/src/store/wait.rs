//! Waiting for the end of a job.

use std::time::Duration;

use super::{Ledger, StoreError, head_of_row, plans};
use crate::domain::{JobId, Timestamp};

/// How often to look at a job that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time before the first look in milliseconds; each next one takes half as much again.
    pub first_ms: u64,
    /// Longest time between two looks.
    pub longest_ms: u64,
}

impl Ledger {
    /// Looks at a job again and again; whether it was seen ended before the time was over. One that is gone was not.
    pub async fn wait_for_end(&self, id: JobId, pace: Pace, deadline: Timestamp) -> Result<bool, StoreError> {
        let mut pause_ms = pace.first_ms;
        loop {
            let left_ms = deadline.since((self.clock)());
            if left_ms == 0 {
                return Ok(false);
            }
            tokio::time::sleep(Duration::from_millis(pause_ms.min(left_ms))).await;
            pause_ms = (pause_ms * 3 / 2).min(pace.longest_ms);
            let head = self.store.get(plans::get_head(&self.config.tables, id)).await?;
            let Some(head) = head.map(head_of_row).transpose()? else { return Ok(false) };
            if head.job.status().is_ended() {
                return Ok(true);
            }
        }
    }
}
