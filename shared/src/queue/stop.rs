//! Steps by which a job stops running, and the slot that some of them give back.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;

use crate::domain::{Head, Job, JobId, Owner, Status, TypeName};
use crate::store::plans::queue::{Slot, Write, with_slot};
use crate::store::plans::{self, and, replace_head};
use crate::store::schema::SLOT;
use crate::store::{AttributeMap, Store, StoreError, Tables, Transacted, Written, job_of_row};

/// How often a job may turn out to hold a slot, or none, against what was thought.
const MAX_TRIES: usize = 3;

/// Sends an update by which a job stops running, or would if it ran; with a slot, in one transaction with its release.
///
/// Whether it holds one is not known before: `holds_slot` is what the caller thinks, and the write itself finds out.
pub async fn stop(
    store: &Store,
    tables: &Tables,
    id: JobId,
    plan: UpdateItemInputBuilder,
    held: Option<(&Owner, &TypeName)>,
) -> Result<Written, StoreError> {
    let mut held = held.map(|(owner, kind)| (owner.clone(), kind.clone()));
    let plan = plan.expression_attribute_names("#slot", SLOT);
    let mut refused = None;
    for _ in 0..MAX_TRIES {
        let item = match &held {
            None => match store.update(and(plan.clone(), "attribute_not_exists(#slot)")).await? {
                Written::Done(item) => return Ok(Written::Done(item)),
                Written::Refused(item) => item,
            },
            Some((owner, kind)) => {
                match release(store, tables, id, without_slot(plan.clone()), owner, kind).await? {
                    Written::Done(item) => return Ok(Written::Done(item)),
                    Written::Refused(item) => item,
                }
            }
        };
        let holds = holder_of_slot(item.as_ref())?;
        if holds.is_some() == held.is_some() {
            return Ok(Written::Refused(item));
        }
        (held, refused) = (holds, item);
    }
    Ok(Written::Refused(refused))
}

/// Whose slot a head holds.
fn holder_of_slot(item: Option<&AttributeMap>) -> Result<Option<(Owner, TypeName)>, StoreError> {
    let Some(item) = item.filter(|item| item.contains_key(SLOT)) else { return Ok(None) };
    let Job { owner, kind, .. } = job_of_row(item.clone())?;
    Ok(Some((owner, kind)))
}

/// The same update, which also lets go of the slot that there must be.
fn without_slot(plan: UpdateItemInputBuilder) -> UpdateItemInputBuilder {
    let update = plan.get_update_expression().clone().unwrap_or_default();
    let update = if update.contains(" REMOVE ") {
        format!("{update}, #slot")
    } else {
        format!("{update} REMOVE #slot")
    };
    and(plan, "attribute_exists(#slot)").update_expression(update)
}

/// Sends it with the release, and answers the head as it is then.
async fn release(
    store: &Store,
    tables: &Tables,
    id: JobId,
    plan: UpdateItemInputBuilder,
    owner: &Owner,
    kind: &TypeName,
) -> Result<Written, StoreError> {
    match transact(store, tables, &Write::Update(plan), owner, kind, Slot::Release).await? {
        Transacted::Done => {
            Ok(Written::Done(store.get(plans::get_head(tables, id).consistent_read(true)).await?))
        }
        Transacted::Refused(items) => Ok(Written::Refused(items.into_iter().next().flatten().flatten())),
    }
}

/// Sends a step together with what it does to its type's slots.
pub(super) async fn transact(
    store: &Store,
    tables: &Tables,
    write: &Write,
    owner: &Owner,
    kind: &TypeName,
    slot: Slot,
) -> Result<Transacted, StoreError> {
    let plan =
        with_slot(tables, write, owner, kind, slot).map_err(|error| StoreError::Refused(error.into()))?;
    store.transact_each(plan).await
}

/// Puts a head in the place of the one that was read, unless that changed; with its slot given back where it held one and
/// stops running. Refused: the head that is there instead.
pub async fn replace(
    store: &Store,
    tables: &Tables,
    head: &Head,
    seen: &Head,
) -> Result<Written, StoreError> {
    let plan = replace_head(tables, head, seen)?;
    let gives_back =
        seen.job.lease().is_some_and(|lease| lease.holds_slot) && head.job.status() != Status::Running;
    if !gives_back {
        return store.put(plan).await;
    }
    let Job { owner, kind, .. } = &seen.job;
    Ok(match transact(store, tables, &Write::Put(plan), owner, kind, Slot::Release).await? {
        Transacted::Done => Written::Done(None),
        Transacted::Refused(items) => Written::Refused(items.into_iter().next().flatten().flatten()),
    })
}
