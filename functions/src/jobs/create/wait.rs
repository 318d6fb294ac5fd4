//! An answer that is held back until the job has ended.

use jobledger::domain::{Head, Mode};
use jobledger::http::{Call, Wait};
use jobledger::queue::Pace;
use jobledger::store::{Ledger, StoreError, WholeJob};

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

/// How a wait ended.
pub(crate) enum Waited {
    /// The job has ended.
    Ended(Box<WholeJob>),
    /// The job has not ended: its head as it is now, and how many jobs go before it.
    Open(Box<Head>, Option<u64>),
    /// Nothing newer is known than that the job was created.
    Unknown,
}

/// Waits for the end of a job that was created, unless it has ended already.
///
/// The job is there, so a fault is no reason to say that it is not: the caller would create another.
pub(crate) async fn wait(call: &Call<'_, Ledger>, head: &Head, wait: Wait) -> Waited {
    look(call, head, wait).await.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a created job could not be waited for");
        Waited::Unknown
    })
}

async fn look(call: &Call<'_, Ledger>, head: &Head, wait: Wait) -> Result<Waited, StoreError> {
    let (jobs, id) = (call.backend.jobs(), head.job.id);
    if !head.job.status().is_ended() {
        let seconds = call.pay_wait(wait.seconds.into()).await;
        if seconds == 0 {
            return Ok(Waited::Unknown);
        }
        let deadline = call.now.plus_millis(i64::from(seconds) * 1_000);
        let Some(seen) = jobs.wait_for_end(id, PACE, deadline).await? else { return Ok(Waited::Unknown) };
        if !seen.job.status().is_ended() {
            let ahead = jobs.count_ahead(&seen, (call.clock)()).await?;
            return Ok(Waited::Open(Box::new(seen), ahead));
        }
    }
    Ok(match jobs.find_whole(id).await? {
        Some(whole) if whole.head.job.status().is_ended() => Waited::Ended(Box::new(whole)),
        // It may have been queued again, or removed, meanwhile.
        Some(_) | None => Waited::Unknown,
    })
}
