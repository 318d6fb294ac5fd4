//! Operations on jobs. Here it is decided once that there is no such job: for a caller, another owner's job is none.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::send::{Made, make, stop};
use super::{Error, Jobs};
use crate::domain::step::{Change, When};
use crate::domain::steps::{cancelled, removed, retried};
use crate::domain::{BulkAction, Head, JobId, Mark, Owner, Seen, Status, Step, Timestamp, is_reserved};
use crate::store::head_write::HeadUpdate;
use crate::store::{Ledger, StoreError, Written, head_of_row, plans};

/// How often a job may change between being read and being written.
const MAX_TRIES: usize = 4;

/// The bulk job that asks for a change: of jobs in these statuses that are older than itself, and of each once.
#[derive(Clone, Copy, Debug)]
pub struct ByBulk<'a> {
    /// The mark that it leaves.
    pub mark: Mark,
    /// The statuses.
    pub statuses: &'a BTreeSet<Status>,
}

/// The caller that queues a job again. Each knows its own write by an id of its own, and by no time: calls share milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Retrier<'a> {
    /// The call with this id.
    Call(Uuid),
    /// A bulk job.
    Bulk(ByBulk<'a>),
}

impl Retrier<'_> {
    /// The step, with the mark that is left on the job.
    fn marked(self, step: Step) -> Step {
        match self {
            Self::Call(call) => step.with(Change::RetriedBy(call)),
            Self::Bulk(bulk) => within(step, Some(bulk)).by(Some(bulk.mark)),
        }
    }

    /// Whether the job has this mark: the answer to the first try was lost, or a part of the bulk job is done again.
    fn has_changed(self, head: &Head) -> bool {
        match self {
            Self::Call(call) => head.retried_by == Some(call),
            Self::Bulk(bulk) => bulk.has_changed(head),
        }
    }

    fn sources(self) -> BTreeSet<Status> {
        match self {
            Self::Call(_) => BulkAction::Retry.sources(),
            Self::Bulk(bulk) => bulk.statuses.clone(),
        }
    }
}

impl ByBulk<'_> {
    /// Whether this bulk job has changed the job before.
    fn has_changed(&self, head: &Head) -> bool {
        head.changed_by == Some(self.mark.bulk)
    }
}

/// The job, if it is there and this owner's. Ids made of an `external_id` can be computed by anybody, so both errors are
/// the same: else a caller would learn which external ids another owner uses.
pub(super) fn owned<T>(found: Option<T>, owner: &Owner, head: impl Fn(&T) -> &Head) -> Result<T, Error> {
    found.filter(|found| head(found).job.owner == *owner).ok_or(Error::NotFound)
}

/// The head that refused a write, if it is there and this owner's.
pub(super) fn refused(head: Option<Box<Head>>, owner: &Owner) -> Result<Head, Error> {
    owned(head.map(|head| *head), owner, |head| head)
}

impl Jobs<'_> {
    /// A job's head as of now.
    pub async fn head(&self, owner: &Owner, id: JobId) -> Result<Head, Error> {
        owned(self.find_head(id).await?, owner, |head| head)
    }

    /// A job's head as of now, whichever owner has the job.
    pub(super) async fn find_head(&self, id: JobId) -> Result<Option<Head>, StoreError> {
        let plan = plans::get_head(&self.ledger.config.tables, id).consistent_read(true);
        Ok(self.ledger.store.get(plan).await?.map(head_of_row).transpose()?)
    }

    /// Calls a job off. If it was called off before, that is what is wanted.
    pub async fn cancel(
        &self,
        owner: &Owner,
        id: JobId,
        now: Timestamp,
        bulk: Option<ByBulk<'_>>,
    ) -> Result<Head, Error> {
        let head = match self.call_off(owner, id, now, bulk).await? {
            Made::Done(head) if bulk.is_some() => return Ok(*head),
            // If the job held a slot, this head was read after the write: somebody may have queued the job again.
            Made::Done(head) => *head,
            Made::Refused(there) => refused(there, owner)?,
        };
        let is_done = match bulk {
            Some(bulk) => bulk.has_changed(&head),
            None => head.job.status() == Status::Cancelled,
        };
        if is_done { Ok(head) } else { Err(Error::wrong_status(head.job.status(), "cancelled")) }
    }

    async fn call_off(
        &self,
        owner: &Owner,
        id: JobId,
        now: Timestamp,
        bulk: Option<ByBulk<'_>>,
    ) -> Result<Made, StoreError> {
        let step = within(cancelled(now).of(owner), bulk).by(bulk.map(|bulk| bulk.mark));
        stop(self.ledger, id, &step, None).await
    }

    /// Queues a job again that failed or was cancelled, with one more attempt. Of several calls, one queues it.
    pub async fn retry(&self, owner: &Owner, id: JobId, call: Uuid, now: Timestamp) -> Result<Head, Error> {
        let Head { job, .. } = self.head(owner, id).await?;
        if is_reserved(&job.kind) {
            return Err(Error::ServiceJob(job.kind));
        }
        if !BulkAction::Retry.sources().contains(&job.status()) {
            return Err(Error::wrong_status(job.status(), "retried"));
        }
        self.retry_seen(owner, Seen::from(&job), now, Retrier::Call(call)).await
    }

    /// The same for a job that was read already.
    pub async fn retry_seen(
        &self,
        owner: &Owner,
        mut seen: Seen,
        now: Timestamp,
        by: Retrier<'_>,
    ) -> Result<Head, Error> {
        let sources = by.sources();
        let mut status = Status::Queued;
        for _ in 0..MAX_TRIES {
            let step = by.marked(retried(seen, now).of(owner));
            let there = match make(self.ledger, seen.id, &step).await? {
                Made::Done(head) => return Ok(*head),
                Made::Refused(there) => refused(there, owner)?,
            };
            if by.has_changed(&there) {
                return Ok(there);
            }
            if is_reserved(&there.job.kind) {
                return Err(Error::ServiceJob(there.job.kind));
            }
            let before = std::mem::replace(&mut seen, Seen::from(&there.job));
            status = there.job.status();
            if !sources.contains(&status) || seen == before {
                break;
            }
        }
        Err(Error::wrong_status(status, "retried"))
    }

    /// Removes a job that has ended; one that lives is cancelled first. Its parts follow by the stream.
    pub async fn delete(
        &self,
        owner: &Owner,
        id: JobId,
        now: Timestamp,
        bulk: Option<ByBulk<'_>>,
    ) -> Result<(), Error> {
        let asked = bulk.map_or_else(|| BTreeSet::from(Status::ALL), |bulk| bulk.statuses.clone());
        let (ended, living): (Vec<Status>, Vec<Status>) =
            asked.into_iter().partition(|status| status.is_ended());
        let mut status = Status::Queued;
        for _ in 0..MAX_TRIES {
            if !ended.is_empty() {
                let Some(there) = self.remove(owner, id, &ended, bulk).await? else { return Ok(()) };
                status = refused(there, owner)?.job.status();
            }
            if living.is_empty() {
                break;
            }
            let there = match self.call_off(owner, id, now, bulk).await? {
                Made::Done(_) => None,
                Made::Refused(there) => Some(refused(there, owner)?),
            };
            if let Some(there) = there.filter(|there| !bulk.is_some_and(|bulk| bulk.has_changed(there))) {
                // It ended by itself meanwhile: the next removal will do, if it ended in a way that was asked for.
                status = there.job.status();
                if ended.contains(&status) {
                    continue;
                }
                break;
            }
            match (self.remove(owner, id, &[Status::Cancelled], bulk).await?, bulk) {
                (None, _) | (Some(None), Some(_)) => return Ok(()),
                (Some(None), None) => return Err(Error::NotFound),
                // Somebody queued it again, after this bulk job had changed it once.
                (Some(Some(there)), Some(_)) => {
                    return Err(Error::wrong_status(there.job.status(), "deleted"));
                }
                (Some(Some(there)), None) => status = there.job.status(),
            }
        }
        Err(Error::wrong_status(status, "deleted"))
    }

    /// Removes the head of a job in one of these statuses. `Some`: it was refused, and this head is there, if any.
    async fn remove(
        &self,
        owner: &Owner,
        id: JobId,
        ended: &[Status],
        bulk: Option<ByBulk<'_>>,
    ) -> Result<Option<Option<Box<Head>>>, StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let step = removed(ended.iter().copied()).of(owner).older_than(bulk.map(|bulk| bulk.mark));
        Ok(match store.delete(HeadUpdate::of(id, &step)?.removal(&config.tables)).await? {
            Written::Done(_) => None,
            Written::Refused(item) => Some(item.map(head_of_row).transpose()?.map(Box::new)),
        })
    }
}

/// The step in the statuses only for which the bulk job asks.
fn within(step: Step, bulk: Option<ByBulk<'_>>) -> Step {
    match bulk {
        Some(ByBulk { statuses, .. }) => step.only(When::StatusIn(statuses.iter().copied().collect())),
        None => step,
    }
}
