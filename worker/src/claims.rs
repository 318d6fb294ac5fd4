//! Asks for jobs as slots free up.

use std::sync::Arc;
use std::time::Duration;

use jobledger_client::up_to;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::RunError;
use crate::attempt;
use crate::client::{ClaimRequest, Failure};
use crate::metrics::Claimed;
use crate::pool::Pool;
use crate::task::{Job, Task};

/// Most jobs that one claim may ask for.
const MAX_BATCH: usize = 10;
/// Least time from one claim that found nothing to the next, where the service did not wait as it was asked to.
const IDLE_PAUSE: Duration = Duration::from_secs(1);

/// A job whose lease began at the earliest when its claim was sent.
#[derive(Debug)]
pub(crate) struct Leased {
    pub(crate) task: Task,
    pub(crate) sent: Instant,
}

/// Claims until the worker stops. Then it waits for a claim in flight, and hands back the jobs of that claim.
pub(crate) async fn run(pool: Arc<Pool>, killed: CancellationToken) {
    loop {
        let Some(slots) = free_slots(&pool).await else { return };
        let ready_at = pool.with_breaker(|breaker| breaker.ready_at());
        if let Some(at) = ready_at {
            if stopped_before(&pool, at).await {
                return;
            }
            pool.with_breaker(crate::breaker::Breaker::probe);
        }
        let is_probe = ready_at.is_some();
        let sent = Instant::now();
        let request = ClaimRequest {
            worker_id: &pool.settings.worker_id,
            types: &pool.settings.types,
            max: slots.len(),
            lease_seconds: pool.settings.lease.as_secs(),
            // A probe must tell soon whether the service is back.
            wait_seconds: if is_probe { 0 } else { pool.settings.wait_seconds },
            acknowledge: true,
        };
        let answer = pool.client.claim(&request).await;
        pool.metrics.claimed(Claimed::of(&answer), sent.elapsed());
        let next = match answer {
            Ok(jobs) => {
                pool.with_breaker(crate::breaker::Breaker::succeeded);
                let is_idle = jobs.is_empty();
                begin(&pool, &killed, jobs, slots, sent).await;
                if is_idle { sent + IDLE_PAUSE / 2 + up_to(IDLE_PAUSE / 2) } else { sent }
            }
            Err(failure) => match after(&pool, failure) {
                Some(wait) => Instant::now() + wait,
                None => return,
            },
        };
        if stopped_before(&pool, next).await {
            return;
        }
    }
}

/// At least one slot, and as many as are free now, up to a batch: more is never asked for. `None`: stopping.
async fn free_slots(pool: &Arc<Pool>) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        () = pool.stopping.cancelled() => return None,
        slot = pool.slots.clone().acquire_owned() => slot.ok()?,
    };
    let more = std::iter::from_fn(|| pool.slots.clone().try_acquire_owned().ok());
    Some(std::iter::once(first).chain(more.take(MAX_BATCH - 1)).collect())
}

/// Waits until this time. True: the worker was told to stop before.
async fn stopped_before(pool: &Pool, at: Instant) -> bool {
    tokio::select! {
        biased;
        () = pool.stopping.cancelled() => true,
        () = sleep_until(at) => false,
    }
}

/// How long to wait after a claim that failed. `None`: there is no use in another one.
fn after(pool: &Pool, failure: Failure) -> Option<Duration> {
    let backoff = pool.settings.backoff;
    match failure {
        Failure::Away(error, retry_after) => {
            let failures = pool.with_breaker(|breaker| {
                breaker.failed(Instant::now());
                breaker.failures()
            });
            tracing::warn!(failures, "a claim failed: {error}");
            Some(backoff.wait(failures, retry_after))
        }
        // The service is there, so the breaker closes.
        Failure::Limited(retry_after) => {
            pool.with_breaker(crate::breaker::Breaker::succeeded);
            tracing::warn!("claims are over the key's limit");
            Some(backoff.wait(LIMITED_FAILURES, retry_after))
        }
        Failure::Denied(problem) => {
            pool.fail(RunError::denied(&problem));
            None
        }
        Failure::Refused(problem) => {
            pool.fail(RunError::Refused(problem.to_string()));
            None
        }
    }
}

/// As how many failures in a row a claim over the limit counts, where the service does not say for how long.
const LIMITED_FAILURES: u32 = 3;

/// Begins the jobs that a claim brought, each with its slot. A job that has none, or comes too late, is handed back.
async fn begin(
    pool: &Arc<Pool>,
    killed: &CancellationToken,
    jobs: Vec<Job>,
    slots: Vec<OwnedSemaphorePermit>,
    sent: Instant,
) {
    let mut slots = slots.into_iter();
    let mut back = JoinSet::new();
    for job in jobs {
        let handler = pool.handlers.get(&job.kind).cloned();
        let leased = Leased { task: Task::new(job), sent };
        let pool = pool.clone();
        match (handler, slots.next()) {
            (Some(handler), Some(slot)) if !pool.stopping.is_cancelled() => {
                let attempt = async move {
                    attempt::run(&pool, leased, &handler).await;
                    drop(slot);
                };
                tokio::spawn(killed.clone().run_until_cancelled_owned(attempt));
            }
            (_, slot) => {
                back.spawn(async move {
                    attempt::hand_back(&pool, leased).await;
                    drop(slot);
                });
            }
        }
    }
    back.join_all().await;
}
