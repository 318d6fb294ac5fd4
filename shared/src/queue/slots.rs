//! Types with a limit: which of them hand out jobs now.

use std::collections::{BTreeSet, HashMap};

use crate::domain::steps::adopted;
use crate::domain::{CreatedRange, JobQuery, Order, Owner, Status, Timestamp, TypeName};
use crate::store::head_write::{HeadUpdate, HeadWrite};
use crate::store::pages::fetch;
use crate::store::plans::queue::Slot;
use crate::store::ranges::{Bounds, exact_ranges};
use crate::store::type_item::{adopt_type, type_of_item};
use crate::store::{Ledger, StoreError, StoredType, Written};

use super::send::transact;

/// The limits that a claim has to mind.
#[derive(Debug, Default)]
pub(super) struct Slots {
    limited: BTreeSet<TypeName>,
    /// Those of which no job may go: they are paused, or as many run as may.
    closed: BTreeSet<TypeName>,
}

impl Slots {
    /// Whether jobs of this type need a slot.
    pub(super) fn are_limited(&self, kind: &TypeName) -> bool {
        self.limited.contains(kind)
    }

    /// Whether none may go now.
    pub(super) fn is_closed(&self, kind: &TypeName) -> bool {
        self.closed.contains(kind)
    }
}

/// Finds out which types are limited or paused, and gives slots to jobs that run without one.
pub(super) async fn open(
    ledger: &Ledger,
    owner: &Owner,
    types: &HashMap<TypeName, StoredType>,
    now: Timestamp,
) -> Result<Slots, StoreError> {
    let mut slots = Slots::default();
    for (kind, stored) in types {
        if stored.paused_at.is_some() {
            slots.closed.insert(kind.clone());
            continue;
        }
        let Some(limit) = stored.settings.max_concurrency else { continue };
        slots.limited.insert(kind.clone());
        let running = match stored.opens_at {
            Some(opens_at) if now >= opens_at || !stored.adopted => {
                adopt(ledger, owner, kind, opens_at, now).await?.unwrap_or(stored.running)
            }
            Some(_) | None => stored.running,
        };
        if running >= u64::from(limit) {
            slots.closed.insert(kind.clone());
        }
    }
    Ok(slots)
}

/// Gives slots to all jobs of a type that run, and notes it: when the type has got its first limit, and once more when no
/// claim that began before can be under way. Answers how many slots are taken then, if nobody else has noted it.
async fn adopt(
    ledger: &Ledger,
    owner: &Owner,
    kind: &TypeName,
    opens_at: Timestamp,
    now: Timestamp,
) -> Result<Option<u64>, StoreError> {
    adopt_all(ledger, owner, kind).await?;
    let noted = adopt_type(&ledger.config.tables, owner, kind, opens_at, now >= opens_at);
    Ok(match ledger.store.update(noted).await? {
        Written::Done(item) => Some(type_of_item(item.unwrap_or_default())?.1.running),
        Written::Refused(_) => None,
    })
}

/// Gives a slot to each job of a type that was claimed before there was a limit: they count, however many they are.
async fn adopt_all(ledger: &Ledger, owner: &Owner, kind: &TypeName) -> Result<(), StoreError> {
    let source = ledger.source().await?;
    let query = JobQuery {
        types: BTreeSet::from([kind.clone()]),
        statuses: BTreeSet::from([Status::Running]),
        ..JobQuery::all(owner.clone())
    };
    for range in exact_ranges(&query, source.shards) {
        let mut from = None;
        loop {
            let plan = range.read(source.tables, &Bounds::of(CreatedRange::ALL), Order::Asc);
            let page = fetch(source.store, plan, from.as_ref()).await?;
            for row in page.rows {
                // One that reports only, or has a slot, or has ended by now, refuses this.
                let write = HeadWrite::Update(HeadUpdate::of(row.id, &adopted().of(owner))?);
                transact(source.store, source.tables, &write, owner, kind, Slot::Adopt).await?;
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(())
}
