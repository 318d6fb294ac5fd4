//! Sending steps of jobs, with the slots that some of them give back.

use crate::domain::step::When;
use crate::domain::{Head, Job, JobId, Owner, Status, Step, TypeName};
use crate::store::head_write::{HeadPut, HeadUpdate, HeadWrite};
use crate::store::plans::queue::{Slot, with_slot};
use crate::store::{
    AttributeMap, Corrupt, Ledger, Store, StoreError, Tables, Transacted, Written, head_of_row, plans,
};

/// How often a step is sent with another guess: of the time of the last change, or of the slot.
const MAX_TRIES: usize = 4;

/// Wakes a claim that waits for this job, if the job may be claimed since its last change.
pub(super) fn announce(ledger: &Ledger, head: &Head) {
    let job = &head.job;
    if job.is_due(job.updated_at) {
        ledger.bell.ring(&job.owner, &job.kind);
    }
}

/// The outcome of a guarded write of a head.
#[derive(Clone, Debug)]
pub enum Made {
    /// It was done. This is the head now.
    Done(Box<Head>),
    /// A condition did not hold. This is the head that is there, if any.
    Refused(Option<Box<Head>>),
}

/// Sends a step that has nothing to do with slots.
///
/// If the head was changed at the step's time or later, the step is sent again with a later time.
pub(crate) async fn make(ledger: &Ledger, id: JobId, step: &Step) -> Result<Made, StoreError> {
    let mut step = step.clone();
    for _ in 0..MAX_TRIES {
        let update = HeadUpdate::of(id, &step)?;
        let made = made(ledger.store.update(update.request(&ledger.config.tables)).await?)?;
        match &made {
            Made::Refused(Some(there)) if step.may_be_made_again(there) && step.is_too_early(there) => {
                step = step.after(there);
            }
            Made::Done(head) => {
                announce(ledger, head);
                return Ok(made);
            }
            Made::Refused(_) => return Ok(made),
        }
    }
    Err(changed_at_every_try())
}

/// Sends a step by which a job stops running, or would if it ran; with a slot, in one transaction with its release.
///
/// Whether the job holds a slot is not known before. `held` is a guess, and the write itself finds out.
pub(crate) async fn stop(
    ledger: &Ledger,
    id: JobId,
    step: &Step,
    held: Option<(&Owner, &TypeName)>,
) -> Result<Made, StoreError> {
    let tables = &ledger.config.tables;
    let mut held = held.map(|(owner, kind)| (owner.clone(), kind.clone()));
    let mut step = step.clone();
    for _ in 0..MAX_TRIES {
        let update = HeadUpdate::of(id, &step.clone().only(When::HoldsSlot(held.is_some())))?;
        let made = match &held {
            None => made(ledger.store.update(update.request(tables)).await?)?,
            Some((owner, kind)) => {
                let write = HeadWrite::Update(update);
                release(&ledger.store, tables, id, &write, owner, kind).await?
            }
        };
        let Made::Refused(Some(there)) = &made else {
            // The slot that is free now may be what a claim waits for.
            if let (Made::Done(_), Some((owner, kind))) = (&made, &held) {
                ledger.bell.ring(owner, kind);
            }
            return Ok(made);
        };
        let guessed_wrong = there.job.holds_slot() != held.is_some() || step.is_too_early(there);
        if !(guessed_wrong && step.may_be_made_again(there)) {
            return Ok(made);
        }
        let Job { owner, kind, .. } = &there.job;
        held = there.job.holds_slot().then(|| (owner.clone(), kind.clone()));
        step = step.after(there);
    }
    Err(changed_at_every_try())
}

pub(crate) fn changed_at_every_try() -> StoreError {
    StoreError::Unavailable("the job changed at every try".into())
}

/// The outcome of a write that asked for the head.
pub(super) fn made(written: Written) -> Result<Made, Corrupt> {
    let head = |item: AttributeMap| head_of_row(item).map(Box::new);
    Ok(match written {
        Written::Done(Some(item)) => Made::Done(head(item)?),
        Written::Done(None) => Made::Refused(None),
        Written::Refused(item) => Made::Refused(item.map(head).transpose()?),
    })
}

/// Sends it with the release, and answers the head as it is then.
async fn release(
    store: &Store,
    tables: &Tables,
    id: JobId,
    write: &HeadWrite,
    owner: &Owner,
    kind: &TypeName,
) -> Result<Made, StoreError> {
    let written = match transact(store, tables, write, owner, kind, Slot::Release).await? {
        Transacted::Done => {
            Written::Done(store.get(plans::get_head(tables, id).consistent_read(true)).await?)
        }
        Transacted::Refused(items) => Written::Refused(items.into_iter().next().flatten().flatten()),
    };
    Ok(made(written)?)
}

/// Sends a step together with what it does to its type's slots.
pub(super) async fn transact(
    store: &Store,
    tables: &Tables,
    write: &HeadWrite,
    owner: &Owner,
    kind: &TypeName,
    slot: Slot,
) -> Result<Transacted, StoreError> {
    let plan =
        with_slot(tables, write, owner, kind, slot).map_err(|error| StoreError::Refused(error.into()))?;
    store.transact_each(plan).await
}

/// Puts a head in the place of the one that was read, unless that changed. If the job held a slot and stops running, it
/// gives the slot back. Refused: the head that is there instead.
pub(super) async fn replace(ledger: &Ledger, head: &Head, seen: &Head) -> Result<Made, StoreError> {
    let (store, tables) = (&ledger.store, &ledger.config.tables);
    let put = HeadPut::replace(head, seen)?;
    let frees_slot = seen.job.holds_slot() && head.job.status() != Status::Running;
    let written = if frees_slot {
        let Job { owner, kind, .. } = &seen.job;
        match transact(store, tables, &HeadWrite::Put(put), owner, kind, Slot::Release).await? {
            Transacted::Done => Written::Done(None),
            Transacted::Refused(items) => Written::Refused(items.into_iter().next().flatten().flatten()),
        }
    } else {
        store.put(put.request(tables)).await?
    };
    Ok(match written {
        Written::Done(_) => {
            announce(ledger, head);
            if frees_slot {
                ledger.bell.ring(&seen.job.owner, &seen.job.kind);
            }
            Made::Done(Box::new(head.clone()))
        }
        Written::Refused(item) => Made::Refused(item.map(head_of_row).transpose()?.map(Box::new)),
    })
}
