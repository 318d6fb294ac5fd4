//! What becomes of a job when its try begins or ends: the steps of the status table, as values.
//!
//! Each takes the head as it was read and gives the one to put in its place; whether the step is legal has been asked
//! before ([`super::Status::may_become`]).

use super::lease::code;
use super::{Ended, ErrorCode, Head, Job, JobError, State, Timestamp, Try};

/// How a try failed, and what that means for the tries that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: JobError,
    /// Whether the tries that are left may be used.
    pub is_retryable: bool,
}

/// Makes a job run for somebody who only reports on it.
pub fn started(head: &Head, now: Timestamp) -> Head {
    let mut next = stepped(head, now);
    next.job.attempt += 1;
    next.job.holder = None;
    next.job.progress = None;
    next.job.state = State::Running { started_at: now, phase: None, lease: None };
    next
}

/// Ends a job well.
pub fn completed(head: &Head, now: Timestamp) -> Head {
    let mut next = stepped(head, now);
    next.job.progress = None;
    next.job.state = State::Completed(ended(head, now));
    next
}

/// Calls a job off.
pub fn cancelled(head: &Head, now: Timestamp) -> Head {
    let mut next = stepped(head, now);
    next.job.state = State::Cancelled(ended(head, now));
    next
}

/// Ends a try that failed: the job waits for the next one, or has failed.
pub fn failed(head: &Head, failure: Failure, backoff_ms: u64, now: Timestamp) -> Head {
    let Failure { error, is_retryable } = failure;
    if is_retryable && head.job.attempt < head.job.max_attempts {
        let due = now.plus_millis(i64::try_from(backoff_ms).unwrap_or(i64::MAX));
        return waiting(head, present_try(&head.job, now, Some(error)), due, now);
    }
    let mut next = stepped(head, now);
    next.job.state = State::Failed(ended(head, now), error);
    next
}

/// Queues a job at once whose worker gives it back. The try is counted, and so one more is allowed.
pub fn handed_back(head: &Head, now: Timestamp) -> Head {
    let error = noticed(code::HANDED_BACK, "the worker handed the job back before it was done");
    let mut next = waiting(head, present_try(&head.job, now, Some(error)), now, now);
    next.job.max_attempts = head.job.max_attempts.saturating_add(1);
    next
}

/// Ends a try whose lease has run out; `None`: it has not, or there is none.
pub fn expired(head: &Head, backoff_ms: u64, now: Timestamp) -> Option<Head> {
    let lease = head.job.lease().filter(|lease| lease.until < now)?;
    let deadline = head.job.holder.as_ref().and_then(|holder| holder.token.terms().deadline);
    let error = if deadline.is_some_and(|deadline| deadline <= lease.until) {
        noticed(code::TIMEOUT, "the try took longer than timeout_seconds")
    } else {
        noticed(code::LEASE_EXPIRED, "the worker did not report before its lease ran out")
    };
    Some(failed(head, Failure { error, is_retryable: true }, backoff_ms, now))
}

/// Queues a job again that failed or was cancelled, with one more try at least.
pub fn retried(head: &Head, now: Timestamp) -> Head {
    let tried = head.job.ended_try();
    let mut next = waiting(head, tried, now, now);
    next.job.max_attempts = head.job.max_attempts.max(head.job.attempt.saturating_add(1));
    next
}

/// The same head, changed now. Two changes never have the same time: it tells whether a head has changed.
pub fn stepped(head: &Head, now: Timestamp) -> Head {
    let mut next = head.clone();
    next.job.updated_at = now.max(head.job.updated_at.plus_millis(1));
    next
}

/// A job that waits for its next try, and remembers the last one.
fn waiting(head: &Head, tried: Option<Try>, available_at: Timestamp, now: Timestamp) -> Head {
    let mut next = stepped(head, now);
    next.job.last_try = tried.or(next.job.last_try);
    next.job.holder = None;
    next.job.progress = None;
    next.job.state = State::Queued { available_at };
    next
}

fn present_try(job: &Job, now: Timestamp, error: Option<JobError>) -> Option<Try> {
    job.tried(job.state.started_at()?, now, error)
}

fn ended(head: &Head, now: Timestamp) -> Ended {
    Ended {
        started_at: head.job.state.started_at(),
        completed_at: now,
        // In seconds, as it is stored.
        expires_at: Some(Timestamp::from_millis(
            now.plus_hours(head.ttl_hours.into()).seconds_ceil() * 1_000,
        )),
    }
}

/// The error of a try that nobody reported on.
fn noticed(code: &str, message: &str) -> JobError {
    JobError { message: message.to_owned(), failed_task: None, code: ErrorCode::try_from(code).ok() }
}
