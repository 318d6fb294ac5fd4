//! The last report of an attempt: sent until it is accepted, or until no retry can succeed.

use tokio::time::{Instant, sleep};

use crate::client::{Failure, Problem};
use crate::http::Body;
use crate::metrics::Ended;
use crate::pool::{HAND_BACK_TIMEOUT, Pool};
use crate::task::Task;
use crate::{Outcome, RunError, TaskError, report};

/// Largest report that is sent at all, as JSON: API Gateway takes no more. The service says itself how much it takes.
const MAX_REPORT: usize = 10 << 20;
/// Too large, as HTTP says it.
const TOO_LARGE: u16 = 413;

/// The outcome of a report.
#[derive(Debug)]
enum Delivery {
    Taken,
    Refused(Problem),
    /// The lease is over, or the key is refused: no retry can succeed.
    Dropped,
}

/// Reports a result. One that is not taken becomes an error that says why, and is not tried again: the next try would
/// have as large a result.
pub(crate) async fn completed(pool: &Pool, task: &Task, outcome: &Outcome, until: Instant) -> Ended {
    let body = Body::of(&report::completed(task, outcome));
    let bytes = body.json_bytes;
    let delivery = if bytes > MAX_REPORT {
        Delivery::Refused(Problem { status: TOO_LARGE, ..Problem::default() })
    } else {
        deliver(pool, task, &body, until).await
    };
    let error = match delivery {
        Delivery::Taken => return Ended::Completed,
        Delivery::Dropped => return Ended::Lost,
        Delivery::Refused(problem) if problem.status == TOO_LARGE => TaskError::permanent(format!(
            "the result is too large: the report takes {bytes} bytes of JSON; keep what is large elsewhere, and \
             return where it is"
        ))
        .code("result_too_large"),
        Delivery::Refused(problem) if matches!(problem.status, 404 | 409) => return gone(task, &problem),
        Delivery::Refused(problem) => {
            TaskError::permanent(format!("the service refused the result: {problem}")).code("result_refused")
        }
    };
    tracing::error!(job = task.id(), "{error}");
    failed(pool, task, &error, until).await
}

/// Reports an error.
pub(crate) async fn failed(pool: &Pool, task: &Task, error: &TaskError, until: Instant) -> Ended {
    let body = Body::of(&report::failed(task, error));
    ended(task, deliver(pool, task, &body, until).await, Ended::Failed)
}

/// Hands a job back, so that another worker can claim it at once.
pub(crate) async fn hand_back(pool: &Pool, task: &Task, until: Instant) -> Ended {
    let body = Body::of(&report::back(task));
    let until = until.min(Instant::now() + HAND_BACK_TIMEOUT);
    ended(task, deliver(pool, task, &body, until).await, Ended::HandedBack)
}

fn ended(task: &Task, delivery: Delivery, taken: Ended) -> Ended {
    match delivery {
        Delivery::Taken => taken,
        Delivery::Dropped => Ended::Lost,
        Delivery::Refused(problem) => gone(task, &problem),
    }
}

/// The end of a job that another caller ended.
fn gone(task: &Task, problem: &Problem) -> Ended {
    match end_of(problem) {
        None => Ended::Cancelled,
        Some(why) => {
            tracing::warn!(job = task.id(), "its last report was refused: {why}");
            Ended::Lost
        }
    }
}

/// Why a job is no longer this worker's, as a refused report tells it. `None`: it was cancelled.
pub(crate) fn end_of(problem: &Problem) -> Option<String> {
    let is_cancelled = problem.status == 409 && problem.job_status == "cancelled";
    (!is_cancelled).then(|| problem.to_string())
}

/// Sends the same bytes until they are taken or refused. The service knows a last report again, so one whose answer was
/// lost does no harm.
async fn deliver(pool: &Pool, task: &Task, body: &Body, until: Instant) -> Delivery {
    let mut failures = 0_u32;
    loop {
        let retry_after = match pool.client.report(&task.job, body).await {
            Ok(_) => return Delivery::Taken,
            Err(Failure::Refused(problem)) => return Delivery::Refused(problem),
            Err(Failure::Denied(problem)) => {
                pool.fail(RunError::denied(&problem));
                return dropped(pool, task);
            }
            Err(Failure::Away(error, retry_after)) => {
                tracing::warn!(job = task.id(), failures, "a last report failed: {error}");
                retry_after
            }
            Err(Failure::Limited(retry_after)) => retry_after,
        };
        failures = failures.saturating_add(1);
        pool.metrics.report_retried();
        let wait = pool.settings.backoff.wait(failures, retry_after);
        if Instant::now() + wait >= until {
            return dropped(pool, task);
        }
        sleep(wait).await;
    }
}

fn dropped(pool: &Pool, task: &Task) -> Delivery {
    tracing::error!(job = task.id(), "a last report was dropped: nobody took it while the lease held");
    pool.metrics.report_dropped();
    Delivery::Dropped
}
