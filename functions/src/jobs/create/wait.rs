//! An answer that is held back until the job has ended.

use jobledger::domain::{Head, Mode};
use jobledger::http::{Call, Wait};
use jobledger::store::{Ledger, Pace, StoreError, WholeJob};

/// How long creating a job of an immediate type waits by itself.
const IMMEDIATE: Wait = Wait { seconds: 5 };
/// Fast work should not take longer by being looked at.
const PACE: Pace = Pace { first_ms: 25, longest_ms: 500 };

/// How long to wait for a job's end: as its caller says, else as its type does; `None`: not at all.
pub(crate) fn wait_of(preferred: Option<Wait>, mode: Mode) -> Option<Wait> {
    preferred.or(match mode {
        Mode::Queued => None,
        Mode::Immediate => Some(IMMEDIATE),
    })
}

/// The whole job, if it has ended, or ends in time.
///
/// The job is there, so a fault is no reason to say that it is not: a caller that heard so would create another.
pub(crate) async fn ended(call: &Call<'_, Ledger>, head: &Head, wait: Wait) -> Option<WholeJob> {
    look(call, head, wait).await.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a created job could not be waited for");
        None
    })
}

async fn look(call: &Call<'_, Ledger>, head: &Head, wait: Wait) -> Result<Option<WholeJob>, StoreError> {
    let (jobs, id) = (call.backend.jobs(), head.job.id);
    if !head.job.status().is_ended() {
        let seconds = call.pay_wait(wait.seconds.into()).await;
        let deadline = call.now.plus_millis(i64::from(seconds) * 1_000);
        if seconds == 0 || !jobs.wait_for_end(id, PACE, deadline).await? {
            return Ok(None);
        }
    }
    let whole = jobs.find_whole(id).await?;
    // It may have been queued again meanwhile.
    Ok(whole.filter(|whole| whole.head.job.status().is_ended()))
}
