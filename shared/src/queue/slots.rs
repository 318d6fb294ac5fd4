//! Types with a limit: which of them hand out jobs now.

use std::collections::{BTreeSet, HashMap};

use crate::domain::steps::adopted;
use crate::domain::{CreatedRange, JobQuery, Order, Owner, Status, Timestamp, TypeName};
use crate::store::head_write::{HeadUpdate, HeadWrite};
use crate::store::pages::fetch;
use crate::store::plans::queue::Slot;
use crate::store::ranges::{Bounds, exact_ranges};
use crate::store::types::open_type;
use crate::store::{Ledger, StoreError, StoredType};

use super::send::transact;

/// The limits that a claim has to mind.
#[derive(Debug, Default)]
pub(super) struct Slots {
    limited: BTreeSet<TypeName>,
    /// Those of which no job may go: as many run as may, or it is not yet known how many do.
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

/// Finds out which types are limited, and opens those whose time has come.
pub(super) async fn open(
    ledger: &Ledger,
    owner: &Owner,
    types: &HashMap<TypeName, StoredType>,
    now: Timestamp,
) -> Result<Slots, StoreError> {
    let mut slots = Slots::default();
    for (kind, stored) in types {
        let Some(limit) = stored.settings.max_concurrency else { continue };
        slots.limited.insert(kind.clone());
        let is_open = match stored.opens_at {
            None => true,
            Some(opens_at) if now < opens_at => false,
            Some(opens_at) => {
                adopt_all(ledger, owner, kind).await?;
                ledger.store.update(open_type(&ledger.config.tables, owner, kind, opens_at)).await?;
                true
            }
        };
        if !is_open || stored.running >= u64::from(limit) {
            slots.closed.insert(kind.clone());
        }
    }
    Ok(slots)
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
