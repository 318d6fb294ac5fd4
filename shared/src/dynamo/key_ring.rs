//! Access keys, read from `settings` and remembered for a minute.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::memory::Memory;
use super::schema::KEYS;
use super::{Corrupt, Store, StoreError, Tables, plans};
use crate::domain::{KeyHash, Owner, Timestamp};
use crate::http::{AccessKey, Scope};

/// How long a key is remembered, in milliseconds: so long may a revoked key still work.
const REMEMBERED_MS: i64 = 60_000;
/// How long an unknown key is remembered, in milliseconds: so long may a new key not yet work.
const UNKNOWN_REMEMBERED_MS: i64 = 5_000;
/// The keys that this execution environment has seen.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    seen: Memory<KeyHash, Option<AccessKey>>,
}

#[derive(Deserialize)]
struct Row {
    owner: String,
    scopes: BTreeSet<String>,
    key_id: String,
    #[serde(default)]
    expires_at: Option<i64>,
}

impl KeyRing {
    /// The key with that hash; `None`: there is none, or it has expired.
    pub(super) async fn find(
        &self,
        store: &Store,
        tables: &Tables,
        hash: &KeyHash,
        now: Timestamp,
    ) -> Result<Option<AccessKey>, StoreError> {
        let key = if let Some(key) = self.seen.recall(hash, now) {
            key
        } else {
            let item = store.get(plans::get_setting(tables, KEYS, hash.as_str())).await?;
            let key = item.map(serde_dynamo::from_item).transpose();
            let key = key.map_err(|error: serde_dynamo::Error| Corrupt::new("access key", error))?;
            let key = key.as_ref().map(access_key).transpose()?;
            let remembered_ms = if key.is_some() { REMEMBERED_MS } else { UNKNOWN_REMEMBERED_MS };
            self.seen.remember(hash.clone(), key.clone(), now, remembered_ms);
            key
        };
        Ok(key.filter(|key| key.expires_at.is_none_or(|end| now < end)))
    }
}

fn access_key(row: &Row) -> Result<AccessKey, Corrupt> {
    let corrupt = |problem: String| Corrupt::new(format!("access key {}", row.key_id), problem);
    // A scope that we do not know allows nothing; the others still hold.
    let scopes = row.scopes.iter().filter_map(|word| Scope::try_from(word.as_str()).ok());
    Ok(AccessKey {
        key_id: row.key_id.clone(),
        owner: Owner::try_from(row.owner.as_str()).map_err(|error| corrupt(error.to_string()))?,
        scopes: scopes.collect(),
        expires_at: row.expires_at.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))),
    })
}
