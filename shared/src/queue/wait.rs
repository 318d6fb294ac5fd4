//! Waiting: for the end of a job, and for a job to claim.

use std::future::Future;
use std::time::Duration;

use super::{ClaimRequest, Claimed, Claims, Jobs};
use crate::bell::Listener;
use crate::domain::{Head, JobId, Timestamp};
use crate::store::{Ledger, StoreError, head_of_row, plans};

/// How often to look at a job that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time before the first look in milliseconds; each next one takes half as much again.
    pub first_ms: u64,
    /// Longest time between two looks.
    pub longest_ms: u64,
}

impl Jobs<'_> {
    /// Looks at a job again and again, until it has ended, is gone, or the time is over. Returns the head as it was last
    /// seen; `None`: the job is gone, or there was no time to look.
    pub async fn wait_for_end(
        &self,
        id: JobId,
        pace: Pace,
        deadline: Timestamp,
    ) -> Result<Option<Head>, StoreError> {
        let Ledger { store, config, clock, .. } = self.ledger;
        let mut pause_ms = pace.first_ms;
        let mut seen = None;
        loop {
            let left_ms = deadline.since(clock());
            if left_ms == 0 {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(pause_ms.min(left_ms))).await;
            pause_ms = (pause_ms * 3 / 2).min(pace.longest_ms);
            let head = store.get(plans::get_head(&config.tables, id)).await?;
            seen = head.map(head_of_row).transpose()?;
            if seen.as_ref().is_none_or(|head| head.job.status().is_ended()) {
                return Ok(seen);
            }
        }
    }
}

impl Claims {
    /// Claims again and again, until there is something or the time is over. It looks at once if a job is queued in this
    /// process, more often soon after something came, and else about once a second. If its caller leaves, it ends.
    pub async fn wait(
        &self,
        ledger: &Ledger,
        request: &ClaimRequest,
        listener: &Listener,
        clock: fn() -> Timestamp,
        deadline: Timestamp,
        caller_left: impl Future<Output = ()>,
    ) -> Result<Vec<Claimed>, StoreError> {
        let mut caller_left = std::pin::pin!(caller_left);
        let queues = (&request.owner, &request.kinds);
        loop {
            let now = clock();
            let left_ms = deadline.since(now);
            if left_ms == 0 {
                return Ok(Vec::new());
            }
            let pause = Duration::from_millis(self.recent.pause_ms(queues, now).min(left_ms));
            tokio::select! {
                biased;
                // A job would be taken for nobody.
                () = &mut caller_left => return Ok(Vec::new()),
                () = listener.rung() => self.recent.came(queues, clock()),
                () = tokio::time::sleep(pause) => {}
            }
            let claimed = self.claim(ledger, request, clock).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
        }
    }
}
