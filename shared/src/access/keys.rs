//! The operations on access keys that routes offer.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::key_item::{
    KeyChange, NewKey, StoredKey, change_key, id_of_item, is_revoked_by, key_of_item, keys_after, put_key,
    revoke_key, revoked_at_of_item,
};
use super::key_marks::put_mark;
use super::{Error, RateLimitStatus, limiter};
use crate::domain::{AccessKey, KeyHash, KeyId, Owner, Scope, Timestamp};
use crate::store::schema::KEYS;
use crate::store::value::s;
use crate::store::{Ledger, Store, StoreError, Tables, Written, plans};

/// Begins the text of every key, so that those who look for lost secrets know one when they see it.
const PREFIX: &str = "jobledger_";
/// Most reads of one page: a filter may pass over many keys before it finds some.
const MAX_READS: usize = 20;
/// Keys of one read where a filter passes over some: their items have some hundred bytes.
const FILTERED_READ: usize = 1_000;
/// Tries to write while others change the same key's rate.
const MAX_TRIES: u32 = 5;

/// Hexadecimal digits of a key after the prefix.
const DIGITS: usize = 64;

/// Whether a text may be a key. A text that begins as keys do is one only if it has their form; a text that begins otherwise
/// may be a key that was put into the table by hand, as in the local stack.
pub fn may_be_key(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.strip_prefix(PREFIX).is_none_or(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

/// The access keys of all owners.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    pub(super) store: &'a Store,
    pub(super) tables: &'a Tables,
}

/// A page of keys.
#[derive(Clone, Debug)]
pub struct KeyPage {
    /// The keys, in the order of their ids.
    pub keys: Vec<StoredKey>,
    /// After which id the list goes on; `None`: it ends here.
    pub next: Option<String>,
}

/// A key that is revoked now.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The key; `None`: it cannot be read.
    pub key: Option<StoredKey>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether this call revoked it, and none before.
    pub is_new: bool,
}

impl Ledger {
    /// The access keys of all owners.
    pub fn keys(&self) -> Keys<'_> {
        Keys::new(&self.store, &self.config.tables)
    }
}

impl<'a> Keys<'a> {
    /// The keys that this store has.
    pub(super) fn new(store: &'a Store, tables: &'a Tables) -> Self {
        Self { store, tables }
    }

    /// Makes a key of a secret that nobody can guess. The key's text comes back once; only its hash is kept.
    pub async fn create(
        self,
        new: NewKey,
        secret: &str,
        made_with: Option<KeyId>,
        now: Timestamp,
    ) -> Result<(StoredKey, String), Error> {
        let NewKey { owner, name, scopes, rate_limit, storage_quota_bytes, max_types, expires_at } = new;
        let text = format!("{PREFIX}{secret}");
        let hash = KeyHash::of(&text);
        let key_id = hash.key_id();
        let access =
            AccessKey { key_id, owner, scopes, expires_at, rate_limit, storage_quota_bytes, max_types };
        let key = StoredKey::new(access, &hash, name, made_with, now);
        put_mark(self.store, self.tables, &key.access.key_id).await?;
        if let Written::Refused(there) = self.store.put(put_key(self.tables, &key)).await? {
            // Its own write, whose answer was lost; or one chance in 2^64, after which the caller tries again.
            if !there.is_some_and(|there| there.get("hash") == Some(&s(hash.as_str()))) {
                return Err(StoreError::Unavailable("another key has the same key_id".into()).into());
            }
        }
        Ok((key, text))
    }

    /// Makes a key with the scope `admin` and without limits.
    pub async fn create_admin(
        self,
        owner: Owner,
        secret: &str,
        now: Timestamp,
    ) -> Result<(StoredKey, String), Error> {
        let new = NewKey {
            owner,
            name: None,
            scopes: BTreeSet::from([Scope::Admin]),
            rate_limit: None,
            storage_quota_bytes: None,
            max_types: None,
            expires_at: None,
        };
        self.create(new, secret, None, now).await
    }

    /// Reads a key as of now: it works as soon as it is made, and what is remembered of it is not older than it may be.
    pub async fn find(self, key_id: &KeyId) -> Result<Option<StoredKey>, Error> {
        let plan = plans::get_setting(self.tables, KEYS, key_id.as_str()).consistent_read(true);
        Ok(self.store.get(plan).await?.map(key_of_item).transpose()?)
    }

    /// The same; fails where there is no such key.
    pub async fn get(self, key_id: &KeyId) -> Result<StoredKey, Error> {
        self.find(key_id).await?.ok_or(Error::KeyNotFound)
    }

    /// The next keys after an id, of this owner or of all. One that cannot be read does not hide the others.
    pub async fn page(
        self,
        of: Option<&Owner>,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<KeyPage, Error> {
        // One more than the page has says whether there is a next one.
        let at_once = if of.is_some() { FILTERED_READ } else { limit + 1 };
        let mut keys: Vec<StoredKey> = Vec::new();
        for _ in 0..MAX_READS {
            let read = self.store.query(keys_after(self.tables, after.as_deref(), at_once)).await?;
            for item in read.items.unwrap_or_default() {
                let id = id_of_item(&item).map(str::to_owned);
                match key_of_item(item) {
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, id, "a key is not in the list");
                    }
                    Ok(key) if of.is_some_and(|owner| key.access.owner != *owner) => {}
                    Ok(_) if keys.len() == limit => return Ok(KeyPage { keys, next: after }),
                    Ok(key) => keys.push(key),
                }
                after = id;
            }
            if read.last_evaluated_key.is_none() {
                return Ok(KeyPage { keys, next: None });
            }
        }
        Ok(KeyPage { keys, next: after })
    }

    /// Changes a key that is not revoked as is decided from the key as it stands. If others change its rate meanwhile, it is
    /// decided again.
    pub async fn change<E: From<Error>>(
        self,
        key_id: &KeyId,
        decide: impl Fn(&AccessKey) -> Result<KeyChange, E>,
    ) -> Result<StoredKey, E> {
        let mut before = self.get(key_id).await?;
        for _ in 0..MAX_TRIES {
            let change = decide(&before.access)?;
            let written = self.store.update(change_key(self.tables, &before, &change)).await;
            before = match written.map_err(Error::from)? {
                Written::Done(item) => {
                    return Ok(key_of_item(item.unwrap_or_default()).map_err(Error::from)?);
                }
                Written::Refused(item) => {
                    key_of_item(item.ok_or(Error::KeyNotFound)?).map_err(Error::from)?
                }
            };
            if before.revoked_at.is_some() {
                return Err(Error::KeyRevoked.into());
            }
        }
        Err(Error::Store(StoreError::Unavailable("others changed the key at every try".into())).into())
    }

    /// Revokes a key, once. One that cannot be read is revoked all the same.
    pub async fn revoke(self, key_id: &KeyId, call: Uuid, now: Timestamp) -> Result<Revocation, Error> {
        let item = match self.store.update(revoke_key(self.tables, key_id, call, now)).await? {
            Written::Done(item) => item.unwrap_or_default(),
            Written::Refused(item) => item.ok_or(Error::KeyNotFound)?,
        };
        // Refused, it may be for its own first try, whose answer was lost.
        let (is_new, revoked_at) = (is_revoked_by(&item, call), revoked_at_of_item(&item));
        let key = key_of_item(item).inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, %key_id, "the key that was revoked cannot be read");
        });
        Ok(Revocation { key: key.ok(), revoked_at, is_new })
    }

    /// How a key stands with its rate, as far as it is stored; `None`: it has no limit.
    pub async fn rate_limit_status(
        self,
        key: &AccessKey,
        now: Timestamp,
    ) -> Result<Option<RateLimitStatus>, Error> {
        Ok(limiter::look(self.store, self.tables, key, now).await?)
    }
}
