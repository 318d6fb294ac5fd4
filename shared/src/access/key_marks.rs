//! Marks of keys: which keys there are, spread over partitions by their ids, which are hashes.
//!
//! All keys lie in one partition, which answers some thousand reads a second. Strangers who try keys would use them up. So an
//! execution environment that meets strangers looks for the mark first, and reads only keys that have one.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;

use super::Error;
use super::keys::Keys;
use crate::domain::{KeyId, Timestamp};
use crate::store::schema::{ID, KEY_MARKS, KIND};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Memory, Store, StoreError, Tables, plans};

/// Unknown keys in a minute from which on an execution environment looks for marks first.
const STRANGERS: u32 = 10;
/// A minute, in milliseconds.
const MINUTE_MS: i64 = 60_000;
/// How long it is remembered whether all keys have marks, in milliseconds.
const REMEMBERED_MS: i64 = 60_000;
/// How long all keys have been marked before marks are believed, in milliseconds: 20 hours. By then no older version, which
/// marks no key, still makes keys.
const BELIEVED_MS: i64 = 72_000_000;
/// The id of the item that says since when all keys are marked.
const STATE: &str = "state";
/// On that item: when all keys were marked for the first time, and for the last time.
const SINCE: &str = "marked_since";
const LAST: &str = "marked_at";
/// Keys that are marked at once.
const PAGE: usize = 100;
/// Most pages of one run.
const MAX_PAGES: usize = 1_000;

/// The partition of a key's mark: one of 16, by the first digit of the key's id.
fn partition(key_id: &KeyId) -> String {
    format!("{KEY_MARKS}-{}", key_id.as_str().get(..1).unwrap_or_default())
}

fn mark(key_id: &KeyId) -> AttributeMap {
    AttributeMap::from([(KIND.to_owned(), s(partition(key_id))), (ID.to_owned(), s(key_id))])
}

/// Marks a key. Before the key is written: so no key of this version is without.
pub(super) async fn put_mark(store: &Store, tables: &Tables, key_id: &KeyId) -> Result<(), StoreError> {
    let plan = plans::put_setting(tables, &partition(key_id), key_id.as_str(), AttributeMap::new());
    store.put(plan).await.map(drop)
}

/// The strangers that an execution environment has met, and whether it may believe marks.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// The minute, and how many unknown keys came in it.
    met: Mutex<(i64, u32)>,
    is_marked: Memory<(), bool>,
}

impl Strangers {
    /// An unknown key came.
    pub(super) fn meet(&self, now: Timestamp) {
        let minute = now.millis().div_euclid(MINUTE_MS);
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        *met = if met.0 == minute { (minute, met.1.saturating_add(1)) } else { (minute, 1) };
    }

    /// Whether there are so many that marks are looked for first.
    fn are_many(&self, now: Timestamp) -> bool {
        let (minute, count) = *self.met.lock().unwrap_or_else(PoisonError::into_inner);
        minute == now.millis().div_euclid(MINUTE_MS) && count >= STRANGERS
    }

    /// Whether it is certain, without a read of the keys, that no key has this id.
    pub(super) async fn knows_none(
        &self,
        keys: Keys<'_>,
        key_id: &KeyId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if !self.are_many(now) {
            return Ok(false);
        }
        let is_marked = if let Some(is_marked) = self.is_marked.recall(&(), now) {
            is_marked
        } else {
            let is_marked = keys.are_marked().await?;
            self.is_marked.remember((), is_marked, now, REMEMBERED_MS);
            is_marked
        };
        Ok(is_marked && !keys.is_marked(key_id).await?)
    }
}

impl Keys<'_> {
    /// Marks all keys that there are, also those of older versions. To do it at any time and any number of times is safe.
    pub async fn mark_all(self, now: Timestamp) -> Result<(), Error> {
        let mut after = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(None, after, PAGE).await?;
            let marks = page.keys.iter().map(|key| mark(&key.access.key_id)).collect();
            self.store.batch_put(&self.tables.settings, marks).await?;
            after = page.next;
            if after.is_none() {
                let plan = UpdateItemInput::builder()
                    .table_name(&self.tables.settings)
                    .key(KIND, s(KEY_MARKS))
                    .key(ID, s(STATE))
                    .update_expression("SET #since = if_not_exists(#since, :now), #last = :now")
                    .expression_attribute_names("#since", SINCE)
                    .expression_attribute_names("#last", LAST)
                    .expression_attribute_values(":now", n(now.millis()));
                self.store.update(plan).await?;
                return Ok(());
            }
        }
        tracing::warn!("there are more keys than one run marks");
        Ok(())
    }

    /// Whether all keys have marks, and had them for so long that no older version makes keys any more.
    async fn are_marked(self) -> Result<bool, Error> {
        let state = self.store.get(plans::get_setting(self.tables, KEY_MARKS, STATE)).await?;
        let time = |name: &str| state.as_ref()?.get(name)?.as_n().ok()?.parse::<i64>().ok();
        Ok(matches!((time(SINCE), time(LAST)), (Some(since), Some(last)) if last - since >= BELIEVED_MS))
    }

    async fn is_marked(self, key_id: &KeyId) -> Result<bool, Error> {
        let plan = plans::get_setting(self.tables, &partition(key_id), key_id.as_str());
        Ok(self.store.get(plan.consistent_read(true)).await?.is_some())
    }
}
