//! Why a worker's report was not taken, found out from the head that refused it.

use jobledger::domain::{Head, Owner, Status};
use jobledger::http::Problem;
use jobledger::store::{AttributeMap, head_of_row};

use super::parse::{Change, Lease};

/// The head that refused a write, if it is this owner's.
pub(crate) fn head_of(item: Option<AttributeMap>, owner: &Owner) -> Result<Head, Problem> {
    let head = head_of_row(item.ok_or_else(Problem::job_not_found)?)?;
    if head.job.owner == *owner { Ok(head) } else { Err(Problem::other_owner()) }
}

/// Whether the job was called off under the lease that a report shows, which says no end of it.
pub(crate) fn was_called_off(head: &Head, change: &Change) -> bool {
    head.job.status() == Status::Cancelled
        && change.lease.as_ref().is_some_and(|lease| head.job.was_given(&lease.token))
        && matches!(change.status, None | Some(Status::Running))
}

/// What a report comes to whose lease does not hold: nothing new, where it is the one that ended the try, or where all it
/// needs to hear is that the job was called off; else a problem.
pub(crate) fn without_lease(head: Head, change: &Change, lease: &Lease) -> Result<Head, Problem> {
    if head.report == Some(change.fingerprint) || was_called_off(&head, change) {
        return Ok(head);
    }
    let status = head.job.status();
    Err(if head.job.was_given(&lease.token) && status.is_ended() {
        Problem::wrong_status(status, "reported on")
    } else {
        Problem::lease_lost(status)
    })
}
