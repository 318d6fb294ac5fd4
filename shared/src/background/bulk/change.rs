//! One job's change: the operation of the route, with a mark by which the bulk job knows its own change again.

use std::collections::BTreeSet;

use crate::background::TaskContext;
use crate::domain::{BulkAction, BulkOutcome, Mark, Seen, Status};
use crate::queue::{ByBulk, Error, Retrier};
use crate::store::StoreError;

/// Does it to one job that was seen in one of these statuses. An error is one that may pass.
pub(super) async fn change(
    context: &TaskContext<'_>,
    action: BulkAction,
    statuses: &BTreeSet<Status>,
    seen: Seen,
) -> Result<BulkOutcome, StoreError> {
    let (jobs, task, now) = (context.ledger.jobs(), context.task, context.now);
    let mark = Mark { bulk: task.id, created_at: task.created_at };
    let by = ByBulk { mark, statuses };
    let bulk = Some(by);
    let done = match action {
        BulkAction::Cancel => jobs.cancel(&task.owner, seen.id, now, bulk).await.map(drop),
        BulkAction::Retry => jobs.retry_seen(&task.owner, seen, now, Retrier::Bulk(by)).await.map(drop),
        BulkAction::Delete => jobs.delete(&task.owner, seen.id, now, bulk).await,
    };
    match done {
        Ok(()) => Ok(BulkOutcome::Changed),
        Err(Error::Store(error @ StoreError::Unavailable(_))) => Err(error),
        // The stored job does not allow it; the others shall not wait for it.
        Err(Error::Store(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, id = %seen.id, "a job cannot be changed");
            Ok(BulkOutcome::Failed)
        }
        // The job is gone, as was wanted. Nobody can see which call removed it, but the earlier run of this part is the
        // likeliest.
        Err(Error::NotFound) if action == BulkAction::Delete && context.is_again => Ok(BulkOutcome::Changed),
        Err(_) => Ok(BulkOutcome::Skipped),
    }
}
