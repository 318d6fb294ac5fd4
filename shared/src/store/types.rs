//! The settings of types, and how many of their slots are taken.

use std::collections::{BTreeSet, HashMap};

use super::memory::Memory;
use super::type_item::{
    Found, adopt_type, any_runs, any_waits, change_type, get_type, get_types, pause_type, resume_type,
    type_of_item,
};
use super::{AttributeMap, Corrupt, Error, Ledger, StoreError, StoredType, Written};
use crate::domain::{Owner, SettingsChange, Timestamp, TypeName, TypeSettings};

/// How long settings are remembered where that does no harm, in milliseconds: so long may old ones still hold.
const REMEMBERED_MS: i64 = 60_000;
/// How long it is remembered that a type has none: so long may its first ones not yet hold.
const UNSET_REMEMBERED_MS: i64 = 5_000;

/// Tries to write while others change the same type's limit.
const MAX_TRIES: u32 = 5;

/// The types that this execution environment has seen.
pub(super) type KnownTypes = Memory<(Owner, TypeName), TypeSettings>;

impl Ledger {
    /// A type's settings as they are or were up to a minute ago; the default where it has none.
    pub async fn type_settings(&self, owner: &Owner, kind: &TypeName) -> Result<TypeSettings, StoreError> {
        let (key, now) = ((owner.clone(), kind.clone()), (self.clock)());
        if let Some(settings) = self.known_types.recall(&key, now) {
            return Ok(settings);
        }
        let plan = get_type(&self.config.tables, owner, kind).consistent_read(false);
        let stored = self.store.get(plan).await?.map(type_of_item).transpose()?;
        let remembered_ms = if stored.is_some() { REMEMBERED_MS } else { UNSET_REMEMBERED_MS };
        let settings = stored.map(|(_, stored)| stored.settings).unwrap_or_default();
        self.known_types.remember(key, settings.clone(), now, remembered_ms);
        Ok(settings)
    }

    /// The stored form of these types, as of now; types that are not stored are left out.
    pub async fn types_now(
        &self,
        owner: &Owner,
        kinds: &BTreeSet<TypeName>,
    ) -> Result<HashMap<TypeName, StoredType>, StoreError> {
        if kinds.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.store.batch_get(get_types(&self.config.tables, owner, kinds)?).await?;
        Ok(found.into_values().flatten().map(type_of_item).collect::<Result<_, Corrupt>>()?)
    }
}

/// The settings of types: the operations that routes offer.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    ledger: &'a Ledger,
}

impl Ledger {
    /// The settings of types.
    pub fn types(&self) -> Types<'_> {
        Types { ledger: self }
    }
}

impl Types<'_> {
    /// The stored form of a type, as of now; `None`: nobody has decided anything.
    pub async fn get(self, owner: &Owner, kind: &TypeName) -> Result<Option<StoredType>, Error> {
        let Ledger { store, config, .. } = self.ledger;
        let item = store.get(get_type(&config.tables, owner, kind)).await?;
        Ok(item.map(stored_type).transpose()?)
    }

    /// Changes the settings. After a first limit, it looks whether any job of the type is about.
    ///
    /// The limit is written before anybody looks: so a job that comes or is taken meanwhile is either seen, or needs a
    /// slot.
    pub async fn change(
        self,
        owner: &Owner,
        kind: &TypeName,
        change: &SettingsChange,
        now: Timestamp,
    ) -> Result<StoredType, Error> {
        let Ledger { store, config, bell, .. } = self.ledger;
        for _ in 0..MAX_TRIES {
            let before = self.get(owner, kind).await?;
            let seen = before.as_ref().and_then(|stored| stored.settings.max_concurrency);
            let plan = if before.is_some() {
                change_type(&config.tables, owner, kind, change, Found::Limit(seen), now)?
            } else {
                let whole = SettingsChange::from(TypeSettings::default().after(change.clone()));
                change_type(&config.tables, owner, kind, &whole, Found::Nothing, now)?
            };
            let Written::Done(item) = store.update(plan).await? else { continue };
            let written = stored_type(item.unwrap_or_default())?;
            let (None, Some(opens_at)) = (seen, written.opens_at) else {
                // A higher limit, or none, may be what claims wait for.
                bell.ring_all(owner, kind);
                return Ok(written);
            };
            if self.is_any_about(owner, kind).await? {
                return Ok(written);
            }
            return match store.update(adopt_type(&config.tables, owner, kind, opens_at, true)).await? {
                Written::Done(item) => Ok(stored_type(item.unwrap_or_default())?),
                // Somebody has put other settings since, or has noted it already.
                Written::Refused(_) => Ok(written),
            };
        }
        Err(StoreError::Unavailable("others changed the type at every try".into()).into())
    }

    /// From now on, no job of the type is handed out.
    pub async fn pause(self, owner: &Owner, kind: &TypeName, now: Timestamp) -> Result<StoredType, Error> {
        let Ledger { store, config, .. } = self.ledger;
        match store.update(pause_type(&config.tables, owner, kind, now)).await? {
            Written::Done(item) => Ok(stored_type(item.unwrap_or_default())?),
            Written::Refused(_) => Err(StoreError::Unavailable("the pause was refused".into()).into()),
        }
    }

    /// Jobs of the type are handed out again. Answers the type as it then is, if it has settings.
    pub async fn resume(
        self,
        owner: &Owner,
        kind: &TypeName,
        now: Timestamp,
    ) -> Result<Option<StoredType>, Error> {
        let Ledger { store, config, bell, .. } = self.ledger;
        match store.update(resume_type(&config.tables, owner, kind, now)).await? {
            Written::Done(item) => {
                bell.ring_all(owner, kind);
                Ok(Some(stored_type(item.unwrap_or_default())?))
            }
            Written::Refused(_) => self.get(owner, kind).await,
        }
    }

    /// Whether a job of the type waits or runs. Looked at in the order of a job's way, and its beginning once more: one that
    /// goes on, or goes back, between two looks is seen by one of them.
    async fn is_any_about(self, owner: &Owner, kind: &TypeName) -> Result<bool, StoreError> {
        let source = self.ledger.source().await?;
        for shard in 0..source.shards {
            for look in [any_waits, any_runs, any_waits] {
                if source.store.query(look(source.tables, owner, kind, shard)).await?.count > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn stored_type(item: AttributeMap) -> Result<StoredType, Corrupt> {
    Ok(type_of_item(item)?.1)
}
