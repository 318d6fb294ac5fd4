//! The table of steps: how an attempt begins and ends, and all else that is done to a job. Each step stands here once.
//!
//! The statuses from which a step leads are the status table's. Steps that are decided from a job that was read need
//! that job to be as it was.

use super::lease::code;
use super::step::{Change, End, EndOfTry, Step, When};
use super::{
    BulkAction, ErrorCode, Holder, Job, JobError, Lease, LeaseToken, Progress, ReportedProgress, Seen,
    Status, Timestamp, WorkerId,
};

/// How a try failed, and what that means for the tries that are left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: JobError,
    /// Whether the tries that are left may be used.
    pub is_retryable: bool,
}

/// How many tries in a row may end without a first report that their worker promised, and cost no attempt.
pub const MAX_UNHEARD: u32 = 5;

/// A worker claims a job that waits. The token says for which attempt, and for how long. `acknowledge`: it promises a
/// report before it begins.
pub fn claimed(worker: &WorkerId, token: &LeaseToken, acknowledge: bool, now: Timestamp) -> Step {
    let terms = token.terms();
    let until = terms.until(now, terms.seconds);
    let lease = Lease { until, holds_slot: terms.holds_slot, unacknowledged: acknowledge };
    let changes = vec![
        Change::Run { started_at: now, lease: Some(lease) },
        Change::Attempt(terms.attempt),
        Change::Holder(Some(Holder { worker: worker.clone(), token: token.clone() })),
        // A heartbeat writes into the progress, so there must be one.
        Change::Progress(Some(Progress::default())),
    ];
    Step::new([Status::Queued], changes, Some(now)).only(When::Attempt(terms.attempt.saturating_sub(1)))
}

/// A job begins to run for somebody who only reports on it.
pub fn started(job: &Job, now: Timestamp) -> Step {
    let changes = vec![
        Change::Run { started_at: now, lease: None },
        Change::Attempt(job.attempt.saturating_add(1)),
        Change::Holder(None),
        Change::Progress(None),
    ];
    Step::new(Status::Running.sources(), changes, Some(now)).only(When::Attempt(job.attempt))
}

/// A job is done.
pub fn completed(now: Timestamp) -> Step {
    let changes = vec![Change::End(End::Completed, now), Change::Progress(None)];
    Step::new(Status::Completed.sources(), changes, Some(now))
}

/// A job is called off.
pub fn cancelled(now: Timestamp) -> Step {
    Step::new(Status::Cancelled.sources(), vec![Change::End(End::Cancelled, now)], Some(now))
}

/// A job is given up, even if attempts are left.
pub fn given_up(error: JobError, now: Timestamp) -> Step {
    Step::new(Status::Failed.sources(), vec![Change::End(End::Failed(error), now)], Some(now))
}

/// An attempt failed: the job waits for the next one, or has failed.
pub fn failed(job: &Job, failure: Failure, backoff_ms: u64, now: Timestamp) -> Step {
    let Failure { error, is_retryable } = failure;
    let step = if is_retryable && job.attempt < job.max_attempts {
        let due = now.plus_millis(i64::try_from(backoff_ms).unwrap_or(i64::MAX));
        tried_again(job, error, due, now)
    } else {
        given_up(error, now)
    };
    step.with(Change::Failures(job.failures.saturating_add(1)))
}

/// A worker gives a job back, which is queued at once. The attempt is counted, and so one more is allowed.
pub fn handed_back(job: &Job, now: Timestamp) -> Step {
    let error = noticed(code::HANDED_BACK, "the worker handed the job back before it was done");
    tried_again(job, error, now, now).with(Change::MaxAttempts(job.max_attempts.saturating_add(1)))
}

/// The attempt of a job whose lease has run out ends; `None`: it has not, or there is none.
///
/// If its worker promised a report and sent none, the work was never begun, most likely because the claim's answer reached
/// nobody. So one more attempt is allowed, a few times in a row.
pub fn expired(job: &Job, backoff_ms: u64, now: Timestamp) -> Option<Step> {
    let lease = job.lease().filter(|lease| lease.until < now)?;
    if lease.unacknowledged && job.unheard < MAX_UNHEARD {
        let error = noticed(
            code::LEASE_EXPIRED,
            "the worker never acknowledged the job; this attempt does not count",
        );
        let step = tried_again(job, error, now, now).with(Change::Unheard(job.unheard.saturating_add(1)));
        return Some(step.with(Change::MaxAttempts(job.max_attempts.saturating_add(1))));
    }
    let deadline = job.holder.as_ref().and_then(|holder| holder.token.terms().deadline);
    let error = if deadline.is_some_and(|deadline| deadline <= lease.until) {
        noticed(code::TIMEOUT, "the try took longer than timeout_seconds")
    } else {
        noticed(code::LEASE_EXPIRED, "the worker did not report before its lease ran out")
    };
    Some(failed(job, Failure { error, is_retryable: true }, backoff_ms, now))
}

/// A job that failed or was cancelled is queued again, with one more attempt at least.
pub fn retried(seen: Seen, now: Timestamp) -> Step {
    let Seen { priority, attempt, max_attempts, was_tried, .. } = seen;
    let mut changes = vec![
        Change::Wait { available_at: now, priority },
        Change::MaxAttempts(max_attempts.max(attempt.saturating_add(1))),
        Change::Holder(None),
        Change::Progress(None),
        Change::Unheard(0),
    ];
    changes.extend(was_tried.then_some(Change::KeepTry(EndOfTry::AsTheJob)));
    Step::new(BulkAction::Retry.sources(), changes, Some(now))
        .only(When::Priority(priority))
        .only(When::Attempt(attempt))
        .only(When::MaxAttempts(max_attempts))
        .only(When::WasTried(was_tried))
}

/// A job is changed, and stays where it is.
pub fn edited(now: Timestamp) -> Step {
    Step::new(Status::ALL, Vec::new(), Some(now))
}

/// The holder of a job reports: the lease is renewed, and the progress is kept. This acknowledges the job.
///
/// No index has any of it, so `updated_at`, which is in every index, stays as it is.
pub fn renewed(token: &LeaseToken, seconds: u32, said: &ReportedProgress, now: Timestamp) -> Step {
    let until = token.terms().until(now, seconds);
    let changes =
        vec![Change::LeaseUntil(until), Change::Acknowledge, Change::Unheard(0), Change::Say(said.clone())];
    let step = Step::new([Status::Running], changes, None).only(When::HeldBy(token.clone(), now));
    // The whole never falls. An expression cannot take the greater of two numbers, so it is a condition.
    match said.overall_progress {
        Some(overall) => step.only(When::OverallAtMost(overall)),
        None => step,
    }
}

/// A background task shows how far it is: as with [`renewed`], no index has it.
pub fn shown(progress: Progress) -> Step {
    Step::new([Status::Running], vec![Change::Progress(Some(progress))], None)
}

/// A job that was claimed before its type had a limit takes a slot. No index has it.
pub fn adopted() -> Step {
    Step::new([Status::Running], vec![Change::TakeSlot], None)
        .only(When::IsLeased)
        .only(When::HoldsSlot(false))
}

/// A job that waits is moved to where its priority belongs. `queue/claim.rs` adds the new key in the queue to the update;
/// the job itself does not change.
pub fn moved_up(attempt: u32) -> Step {
    Step::new([Status::Queued], Vec::new(), None).only(When::Attempt(attempt))
}

/// A job in one of these statuses is removed.
pub fn removed(from: impl IntoIterator<Item = Status>) -> Step {
    Step::new(from, Vec::new(), None)
}

/// A job that runs waits for its next attempt, and remembers the last one.
fn tried_again(job: &Job, error: JobError, available_at: Timestamp, now: Timestamp) -> Step {
    let changes = vec![
        Change::Wait { available_at, priority: job.priority },
        Change::KeepTry(EndOfTry::At(now, error)),
        Change::Holder(None),
        Change::Progress(None),
    ];
    Step::new([Status::Running], changes, Some(now))
        .only(When::Priority(job.priority))
        .only(When::Attempt(job.attempt))
        .only(When::MaxAttempts(job.max_attempts))
}

/// The error of a try that nobody reported on.
fn noticed(code: &str, message: &str) -> JobError {
    JobError { message: message.to_owned(), failed_task: None, code: ErrorCode::try_from(code).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    #[test]
    fn a_retry_allows_one_more_attempt_where_none_is_left() {
        let id = JobId::from(uuid::Uuid::from_u128(7));
        let check = |attempt, expect| {
            let seen = Seen { id, priority: 7, attempt, max_attempts: 3, was_tried: false };
            let step = retried(seen, Timestamp::from_millis(0));
            assert!(step.changes.contains(&Change::MaxAttempts(expect)), "{step:?}");
        };
        check(3, 4);
        check(1, 3);
    }

    #[test]
    fn a_retry_leads_only_where_the_status_table_does() {
        let expected = [Status::Failed, Status::Cancelled];
        assert_eq!(BulkAction::Retry.sources(), expected.into());
        assert!(expected.iter().all(|status| status.may_become(Status::Queued)));
    }
}
