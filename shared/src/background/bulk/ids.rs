//! The jobs that a caller names one by one.

use crate::domain::{BulkAction, BulkOutcome, JobId, Owner, Seen, is_reserved};
use crate::store::{Ledger, StoreError};

/// A job that the caller named.
pub(super) enum Found {
    /// It can be changed.
    Job(Seen),
    /// It cannot: its outcome.
    Unfit(BulkOutcome),
}

/// Looks up to 100 jobs up, in this order. An id of no job, of another owner's, or of one that is in no status for the action
/// is skipped.
pub(super) async fn look_up(
    ledger: &Ledger,
    owner: &Owner,
    action: BulkAction,
    ids: &[JobId],
) -> Result<Vec<Found>, StoreError> {
    let mut jobs = ledger.jobs().each(owner, ids).await?;
    let statuses = action.sources();
    let found = ids.iter().map(|id| match jobs.remove(id) {
        Some(Ok(job)) if statuses.contains(&job.status()) && !is_reserved(&job.kind) => {
            Found::Job(Seen::from(&job))
        }
        Some(Ok(_)) | None => Found::Unfit(BulkOutcome::Skipped),
        Some(Err(corrupt)) => {
            tracing::error!(error = &corrupt as &dyn std::error::Error, "a job cannot be read");
            Found::Unfit(BulkOutcome::Failed)
        }
    });
    Ok(found.collect())
}
