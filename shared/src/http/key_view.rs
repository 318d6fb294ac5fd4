//! A key as answers and the audit show it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::access::StoredKey;
use crate::domain::{AccessKey, JobName, KeyId, Owner, RateLimit, Scope, Timestamp};

/// A key without its text and its hash.
#[derive(Debug, Serialize)]
pub struct KeyView<'a> {
    /// Its id.
    pub key_id: &'a KeyId,
    /// Whose it is.
    pub owner: &'a Owner,
    name: Option<&'a JobName>,
    scopes: &'a BTreeSet<Scope>,
    requests_per_minute: Option<u32>,
    burst: Option<u32>,
    storage_quota_bytes: Option<u64>,
    max_types: Option<u32>,
    created_at: Timestamp,
    created_by: Option<&'a KeyId>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    active: bool,
}

impl StoredKey {
    /// The key as it is shown at this time.
    pub fn view(&self, now: Timestamp) -> KeyView<'_> {
        let AccessKey { key_id, owner, scopes, expires_at, rate_limit, storage_quota_bytes, max_types } =
            &self.access;
        KeyView {
            key_id,
            owner,
            name: self.name.as_ref(),
            scopes,
            requests_per_minute: rate_limit.map(RateLimit::per_minute),
            burst: rate_limit.map(RateLimit::burst),
            storage_quota_bytes: *storage_quota_bytes,
            max_types: *max_types,
            created_at: self.created_at,
            created_by: self.created_by.as_ref(),
            expires_at: *expires_at,
            revoked_at: self.revoked_at,
            active: self.is_good(now),
        }
    }
}
