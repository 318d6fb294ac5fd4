//! The keys that an execution environment remembers.

use super::key_item::StoredKey;
use super::key_marks::Strangers;
use super::keys::Keys;
use super::{Error, Freshness};
use crate::domain::{AccessKey, KeyHash, KeyId, Timestamp};
use crate::store::Memory;

/// How long a key is remembered, in milliseconds: so long may a revoked key still work.
const REMEMBERED_MS: i64 = 60_000;
/// How long an unknown key is remembered, in milliseconds: so long may a new key not yet work.
const UNKNOWN_REMEMBERED_MS: i64 = 5_000;

/// The keys that this execution environment has seen, and the ids that no key has. They are apart: strangers who try keys
/// must not drive out the keys of those who are known.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    known: Memory<KeyId, StoredKey>,
    unknown: Memory<KeyId, ()>,
    strangers: Strangers,
}

impl KeyRing {
    /// The key with that hash; `None`: there is none, or it has ended.
    pub(super) async fn find(
        &self,
        keys: Keys<'_>,
        hash: &KeyHash,
        freshness: Freshness,
        now: Timestamp,
    ) -> Result<Option<AccessKey>, Error> {
        let key_id = hash.key_id();
        let key = match freshness {
            Freshness::Remembered => self.stored(keys, &key_id, now).await?,
            Freshness::Now => self.read(keys, &key_id, now).await?,
        };
        Ok(key.filter(|key| hash.matches(&key.hash) && key.is_good(now)).map(|key| key.access))
    }

    /// The key of that name: for a ticket that was given to its holder; `None`: there is none, or it has ended.
    pub(super) async fn called(
        &self,
        keys: Keys<'_>,
        key_id: &KeyId,
        now: Timestamp,
    ) -> Result<Option<AccessKey>, Error> {
        let key = self.stored(keys, key_id, now).await?;
        Ok(key.filter(|key| key.is_good(now)).map(|key| key.access))
    }

    async fn stored(
        &self,
        keys: Keys<'_>,
        key_id: &KeyId,
        now: Timestamp,
    ) -> Result<Option<StoredKey>, Error> {
        if let Some(key) = self.known.recall(key_id, now) {
            return Ok(Some(key));
        }
        // It was looked for in vain a moment ago.
        if self.unknown.recall(key_id, now).is_some() {
            return Ok(None);
        }
        let key = self.read(keys, key_id, now).await?;
        match &key {
            Some(key) => self.known.remember(key_id.clone(), key.clone(), now, REMEMBERED_MS),
            None => self.unknown.remember(key_id.clone(), (), now, UNKNOWN_REMEMBERED_MS),
        }
        Ok(key)
    }

    /// Reads a key. If many strangers come, the partition of the keys is spared those that no key has.
    async fn read(&self, keys: Keys<'_>, key_id: &KeyId, now: Timestamp) -> Result<Option<StoredKey>, Error> {
        let key = if self.strangers.knows_none(keys, key_id, now).await? {
            None
        } else {
            keys.find(key_id).await?
        };
        if key.is_none() {
            self.strangers.meet(now);
        }
        Ok(key)
    }
}
