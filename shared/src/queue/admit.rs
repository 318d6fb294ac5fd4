//! Which types an owner may use: those that it uses, and new ones as long as there are places.
//!
//! Readers of all types, such as a scrape, read each type of each owner. So without a bound a caller who may write could
//! make them as slow as they like.

use std::collections::{BTreeMap, BTreeSet};

use super::Jobs;
use crate::counts::types_ever_counted;
use crate::domain::{Owner, Timestamp, TypeName, is_reserved};
use crate::store::type_names::{chunks, get_names, keep_place, name_of_item, places_of_item, take_place};
use crate::store::{Ledger, StoreError, Transacted, Written};

/// How long it is remembered that a type is used, in milliseconds. A type that is given back was noted for longer before.
const REMEMBERED_MS: i64 = 60_000;
/// How long it is remembered that an owner has no place left, in milliseconds: so long it may not use one that is given back.
const FULL_REMEMBERED_MS: i64 = 5_000;
/// Tries to take a place while the type comes and goes.
const MAX_TRIES: usize = 5;

/// The outcome of a try to take a place.
enum Place {
    Taken,
    /// The owner uses as many types as it may.
    Full,
}

impl Jobs<'_> {
    /// Lets an owner use some types; answers with those that it may not use, and with how many it may.
    pub async fn admit(
        self,
        owner: &Owner,
        kinds: &BTreeSet<TypeName>,
        limit: Option<u32>,
    ) -> Result<(BTreeSet<TypeName>, u32), StoreError> {
        let ledger = self.ledger;
        let now = (ledger.clock)();
        let limit = limit.unwrap_or(ledger.config.types_per_owner);
        let is_new = |kind: &TypeName| {
            !is_reserved(kind) && ledger.known_names.recall(&(owner.clone(), kind.clone()), now).is_none()
        };
        let mut missing: BTreeSet<TypeName> = kinds.iter().filter(|kind| is_new(kind)).cloned().collect();
        if missing.is_empty() {
            return Ok((missing, limit));
        }
        for (kind, leaving_at) in read(ledger, owner, &missing).await? {
            if leaving_at.is_none() || keep(ledger, owner, &kind).await? {
                self.knows(owner, &kind, now);
                missing.remove(&kind);
            }
        }
        let mut refused = BTreeSet::new();
        for kind in missing {
            match self.take(owner, &kind, Some(limit), now).await? {
                Place::Taken => {}
                Place::Full => drop(refused.insert(kind)),
            }
        }
        // Types that had jobs before there was a limit keep them: they take places past it.
        for kind in types_ever_counted(&ledger.store, &ledger.config.tables, owner, &refused).await? {
            self.take(owner, &kind, None, now).await?;
            refused.remove(&kind);
        }
        Ok((refused, limit))
    }

    fn knows(self, owner: &Owner, kind: &TypeName, now: Timestamp) {
        self.ledger.known_names.remember((owner.clone(), kind.clone()), (), now, REMEMBERED_MS);
    }

    /// Takes a place. One after the other in an execution environment, as all change the owner's item.
    async fn take(
        self,
        owner: &Owner,
        kind: &TypeName,
        limit: Option<u32>,
        now: Timestamp,
    ) -> Result<Place, StoreError> {
        let Ledger { store, config, full_owners, registering, .. } = self.ledger;
        let _alone = registering.lock().await;
        if let (Some(limit), Some(places)) = (limit, full_owners.recall(owner, now))
            && limit <= places
        {
            return Ok(Place::Full);
        }
        for _ in 0..MAX_TRIES {
            let plan = take_place(&config.tables, owner, kind, limit, now);
            let plan = plan.map_err(|error| StoreError::Refused(error.into()))?;
            let refused = match store.transact_each(plan).await? {
                Transacted::Done => {
                    self.knows(owner, kind, now);
                    return Ok(Place::Taken);
                }
                Transacted::Refused(refused) => refused,
            };
            if !matches!(refused.first(), Some(Some(_))) {
                let places = refused.into_iter().nth(1).flatten().flatten();
                let places = places.as_ref().map_or(0, places_of_item);
                full_owners.remember(owner.clone(), places, now, FULL_REMEMBERED_MS);
                return Ok(Place::Full);
            }
            // Another call was faster, or this one's own first try, whose answer was lost.
            if keep(self.ledger, owner, kind).await? {
                self.knows(owner, kind, now);
                return Ok(Place::Taken);
            }
        }
        Err(StoreError::Unavailable("the type came and went at every try".into()))
    }
}

/// Which of these types the owner uses, and which of those may be given back.
async fn read(
    ledger: &Ledger,
    owner: &Owner,
    kinds: &BTreeSet<TypeName>,
) -> Result<BTreeMap<TypeName, Option<Timestamp>>, StoreError> {
    let mut found = BTreeMap::new();
    for chunk in chunks(kinds) {
        let read = ledger.store.batch_get(get_names(&ledger.config.tables, owner, &chunk)?).await?;
        found.extend(read.into_values().flatten().filter_map(|item| name_of_item(&item)));
    }
    Ok(found)
}

/// Keeps the place of a type; false: it has none any more.
async fn keep(ledger: &Ledger, owner: &Owner, kind: &TypeName) -> Result<bool, StoreError> {
    let kept = ledger.store.update(keep_place(&ledger.config.tables, owner, kind)).await?;
    Ok(matches!(kept, Written::Done(_)))
}
