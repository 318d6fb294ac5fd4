//! One job's change: one guarded write, which leaves a mark by which it is known again.

use std::collections::BTreeSet;

use crate::background::Bench;
use crate::domain::{BulkAction, BulkOutcome, Status};
use crate::queue::stop;
use crate::store::plans::{self, Seen};
use crate::store::schema::CHANGED_BY;
use crate::store::value::s;
use crate::store::{AttributeMap, Ledger, StoreError, Written, job_of_row};

/// How often a job may change just when its turn has come, without moving on.
const MAX_TRIES: usize = 3;

/// Does it to one job that was seen in one of these statuses. An error is one that may pass.
pub(super) async fn change(
    bench: &Bench<'_>,
    action: BulkAction,
    statuses: &BTreeSet<Status>,
    seen: Seen,
) -> Result<BulkOutcome, StoreError> {
    let done = match action {
        BulkAction::Cancel => cancel(bench, statuses, seen).await,
        BulkAction::Retry => retry(bench, statuses, seen).await,
        BulkAction::Delete => delete(bench, statuses, seen).await,
    };
    match done {
        // What is stored of this job does not allow it; the others shall not wait for it.
        Err(error @ (StoreError::Refused(_) | StoreError::Corrupt(_))) => {
            tracing::error!(error = &error as &dyn std::error::Error, id = %seen.id, "a job cannot be changed");
            Ok(BulkOutcome::Failed)
        }
        Ok(_) | Err(StoreError::Unavailable(_)) => done,
    }
}

/// A write that was refused: done before by this very bulk job, or the job has moved on.
fn refused(bench: &Bench<'_>, item: Option<&AttributeMap>) -> BulkOutcome {
    match item {
        Some(item) if item.get(CHANGED_BY) == Some(&s(bench.task.id)) => BulkOutcome::Changed,
        Some(_) | None => BulkOutcome::Skipped,
    }
}

async fn cancel(
    bench: &Bench<'_>,
    statuses: &BTreeSet<Status>,
    seen: Seen,
) -> Result<BulkOutcome, StoreError> {
    let living: Vec<Status> = statuses.iter().copied().collect();
    Ok(match call_off(bench, seen, &living).await? {
        Written::Done(_) => BulkOutcome::Changed,
        Written::Refused(item) => refused(bench, item.as_ref()),
    })
}

async fn call_off(bench: &Bench<'_>, seen: Seen, living: &[Status]) -> Result<Written, StoreError> {
    let Ledger { store, config, .. } = bench.ledger;
    let plan = plans::cancel_in(&config.tables, &bench.task.owner, seen.id, bench.now, living);
    let plan = plans::by_bulk(plan, bench.task.id, bench.task.created_at);
    stop(store, &config.tables, seen.id, plan, None).await
}

async fn retry(
    bench: &Bench<'_>,
    statuses: &BTreeSet<Status>,
    mut seen: Seen,
) -> Result<BulkOutcome, StoreError> {
    let Ledger { store, config, .. } = bench.ledger;
    let sources: Vec<Status> = statuses.iter().copied().collect();
    for _ in 0..MAX_TRIES {
        let plan = plans::retry_in(&config.tables, &bench.task.owner, seen, bench.now, &sources);
        let item = match store.update(plans::by_bulk(plan, bench.task.id, bench.task.created_at)).await? {
            Written::Done(_) => return Ok(BulkOutcome::Changed),
            Written::Refused(item) => item,
        };
        let outcome = refused(bench, item.as_ref());
        let Some(item) = item.filter(|_| outcome == BulkOutcome::Skipped) else { return Ok(outcome) };
        let job = job_of_row(item)?;
        let now = Seen::from(&job);
        if now == seen || !statuses.contains(&job.status()) || job.owner != bench.task.owner {
            return Ok(BulkOutcome::Skipped);
        }
        seen = now;
    }
    Ok(BulkOutcome::Skipped)
}

/// Removes a job that has ended; one that lives is cancelled first.
async fn delete(
    bench: &Bench<'_>,
    statuses: &BTreeSet<Status>,
    seen: Seen,
) -> Result<BulkOutcome, StoreError> {
    let (ended, living): (Vec<Status>, Vec<Status>) = statuses.iter().partition(|status| status.is_ended());
    // Gone is what was wanted; whose doing it was cannot be seen, but who did this part before is the likeliest.
    let gone = if bench.is_again { BulkOutcome::Changed } else { BulkOutcome::Skipped };
    for _ in 0..MAX_TRIES {
        if !ended.is_empty() {
            match remove(bench, seen, &ended).await? {
                Written::Done(_) => return Ok(BulkOutcome::Changed),
                Written::Refused(None) => return Ok(gone),
                Written::Refused(Some(_)) => {}
            }
        }
        if living.is_empty() {
            return Ok(BulkOutcome::Skipped);
        }
        let item = match call_off(bench, seen, &living).await? {
            Written::Refused(None) => return Ok(gone),
            Written::Refused(Some(item)) => Some(item),
            Written::Done(_) => None,
        };
        if item.as_ref().is_none_or(|item| refused(bench, Some(item)) == BulkOutcome::Changed) {
            return Ok(match remove(bench, seen, &[Status::Cancelled]).await? {
                Written::Done(_) | Written::Refused(None) => BulkOutcome::Changed,
                Written::Refused(Some(_)) => BulkOutcome::Skipped,
            });
        }
        // It ended by itself meanwhile: the next removal will do, if it ended in a way that was asked for.
        let status = item.map(job_of_row).transpose()?.map(|job| job.status());
        if !status.is_some_and(|status| ended.contains(&status)) {
            return Ok(BulkOutcome::Skipped);
        }
    }
    Ok(BulkOutcome::Skipped)
}

async fn remove(bench: &Bench<'_>, seen: Seen, ended: &[Status]) -> Result<Written, StoreError> {
    let Ledger { store, config, .. } = bench.ledger;
    let plan = plans::delete_in(&config.tables, &bench.task.owner, seen.id, ended);
    store.delete(plans::older_than(plan, bench.task.created_at)).await
}
