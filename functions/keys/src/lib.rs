//! `/v1/admin/keys`: making, listing, changing and revoking access keys. What a key may do is read again by every
//! execution environment within a minute; so long may a revoked key still work.

use std::collections::BTreeSet;

use jobledger::Function;
use jobledger::domain::{Allowance, Invalid, JobName, KeyId, Owner, Timestamp};
use jobledger::dynamo::keys::{StoredKey, change_key, key_of_item, keys_after, put_key, revoke_key};
use jobledger::dynamo::schema::KEYS;
use jobledger::dynamo::{AttributeMap, Ledger, StoreError, Written, plans};
use jobledger::http::{Access, AccessKey, Answer, Call, Problem, Route, Scope, fresh_key, function};
use lambda_http::http::{Method, StatusCode};
use serde::Serialize;

mod parse;

/// The function.
pub const FUNCTION: Function = function::<Keys>();

/// Longest body: every field at its longest, with white space.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Keys of one page, where nobody says how many.
const DEFAULT_PAGE: usize = 50;
/// Most keys of one page.
const MAX_PAGE: usize = 100;
/// Most reads of one page: a filter may pass over many keys before it finds some.
const MAX_READS: usize = 20;
/// Keys of one read where a filter passes over some: their items have some hundred bytes.
const FILTERED_READ: usize = 1_000;
/// Tries to write while others change the same key's rate.
const MAX_TRIES: u32 = 5;

/// `/v1/admin/keys` and `/v1/admin/keys/{key_id}`.
#[derive(Debug)]
pub struct Keys;

/// A key without its text.
#[derive(Debug, Serialize)]
struct View<'a> {
    key_id: &'a KeyId,
    owner: &'a Owner,
    name: Option<&'a JobName>,
    scopes: &'a BTreeSet<Scope>,
    requests_per_minute: Option<u32>,
    burst: Option<u32>,
    storage_quota_bytes: Option<u64>,
    created_at: Timestamp,
    created_by: Option<&'a str>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    active: bool,
}

#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: View<'a>,
    /// The only time that anybody sees it.
    key: &'a str,
}

#[derive(Serialize)]
struct Page<'a> {
    keys: Vec<View<'a>>,
    has_more: bool,
    next_cursor: Option<KeyId>,
}

impl Route for Keys {
    const NAME: &'static str = "keys";
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let one = call
            .path
            .iter()
            .find(|(name, _)| name == "key_id")
            .map(|(_, value)| KeyId::try_from(value.as_str()));
        match (call.method, one) {
            (&Method::POST, None) => make(call).await,
            (_, None) => list(call).await,
            (method, Some(key_id)) => {
                let key_id = key_id.map_err(|invalid| call.query.refuse("key_id", invalid)).ok();
                refuse_owner(&mut call, "must be left out: the key_id says which key");
                let key_id = call.query.clone().finish(key_id)?;
                match *method {
                    Method::PATCH => change(call, &key_id).await,
                    Method::DELETE => revoke(call, &key_id).await,
                    _ => Ok(Answer::ok(&view(&read(call.backend, &key_id).await?, call.now))),
                }
            }
        }
    }
}

/// `POST`: a new key, whose text is in this answer and nowhere else.
async fn make(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
    refuse_owner(&mut call, "must be left out: the body says whose key it is");
    call.query.clone().finish(Some(()))?;
    let wanted = parse::new_key(call.body, call.now)?;
    let (text, hash) = fresh_key();
    let access = AccessKey {
        key_id: hash.key_id(),
        owner: wanted.owner,
        scopes: wanted.scopes,
        expires_at: wanted.expires_at,
        allowance: wanted.allowance,
        storage_quota_bytes: wanted.storage_quota_bytes,
    };
    let made_with = call.caller.as_ref().map(|caller| caller.key_id.clone());
    let key = StoredKey::new(access, &hash, wanted.name, made_with, call.now);
    let Ledger { store, config, .. } = call.backend;
    match store.put(put_key(&config.tables, &key)).await? {
        Written::Done(_) => {}
        // Its own write, whose answer was lost; or one chance in 2^64, after which the caller tries again.
        Written::Refused(_) => {
            let there = find(call.backend, &key.access.key_id).await?;
            if there.as_ref() != Some(&key) {
                return Err(StoreError::Unavailable("another key has the same key_id".into()).into());
            }
        }
    }
    call.audit("key.made", &key.access.key_id, &key.access.owner, &view(&key, call.now));
    let made = Made { view: view(&key, call.now), key: &text };
    Ok(Answer::json(StatusCode::CREATED, &made)
        .with("location", format!("/v1/admin/keys/{}", key.access.key_id))
        .with("cache-control", "no-store"))
}

/// `GET`: keys in the order of their ids, those that ended within the last 90 days too.
async fn list(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
    let limit = call.query.optional("limit", parse::limit);
    let cursor = call.query.optional("cursor", |text: &str| KeyId::try_from(text));
    call.query.clone().finish(Some(()))?;
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    let of = call.caller.as_ref().and_then(|caller| caller.acts_for.clone());
    let Ledger { store, config, .. } = call.backend;
    // One more than the page has says whether there is a next one.
    let at_once = if of.is_some() { FILTERED_READ } else { limit + 1 };
    let mut found: Vec<StoredKey> = Vec::new();
    let (mut last, mut reads) = (cursor, 0);
    let next_cursor = 'reads: loop {
        reads += 1;
        let read = store.query(keys_after(&config.tables, last.as_ref(), at_once)).await?;
        for item in read.items.unwrap_or_default() {
            let key = key_of_item(item)?;
            last = Some(key.access.key_id.clone());
            if of.as_ref().is_some_and(|owner| key.access.owner != *owner) {
                continue;
            }
            if found.len() == limit {
                break 'reads found.last().map(|key| key.access.key_id.clone());
            }
            found.push(key);
        }
        if read.last_evaluated_key.is_none() {
            break None;
        }
        if reads == MAX_READS {
            break last;
        }
    };
    let keys = found.iter().map(|key| view(key, call.now)).collect();
    Ok(Answer::ok(&Page { keys, has_more: next_cursor.is_some(), next_cursor }))
}

/// `PATCH`: what is left out stays, and what is null goes.
async fn change(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let mut before = read(call.backend, key_id).await?;
    let mut after = None;
    for _ in 0..MAX_TRIES {
        let change = parse::change(call.body, &before.access, call.now)?;
        match store.update(change_key(&config.tables, &before, &change)).await? {
            Written::Done(item) => after = Some(key_of_item(item.unwrap_or_default())?),
            Written::Refused(item) => before = key_of_item(item.ok_or_else(Problem::key_not_found)?)?,
        }
        if after.is_some() {
            break;
        }
        if before.revoked_at.is_some() {
            return Err(Problem::key_revoked());
        }
    }
    let after = after.ok_or_else(|| StoreError::Unavailable("others changed the key at every try".into()))?;
    let after = view(&after, call.now);
    call.audit("key.changed", key_id, after.owner, &after);
    Ok(Answer::ok(&after))
}

/// `DELETE`: revokes it; again, and it stays as it was.
async fn revoke(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let (item, is_done) = match store.update(revoke_key(&config.tables, key_id, call.now)).await? {
        Written::Done(item) => (item, true),
        Written::Refused(item) => (Some(item.ok_or_else(Problem::key_not_found)?), false),
    };
    let key = key_of_item(item.unwrap_or_default())?;
    let key = view(&key, call.now);
    if is_done {
        call.audit("key.revoked", key_id, key.owner, &key);
    }
    Ok(Answer::ok(&key))
}

/// `?owner=` filters a list, and means nothing elsewhere: who says it would be misunderstood.
fn refuse_owner(call: &mut Call<'_, Ledger>, why: &'static str) {
    if call.caller.as_ref().is_some_and(|caller| caller.acts_for.is_some()) {
        call.query.refuse("owner", Invalid::new(why));
    }
}

async fn read(ledger: &Ledger, key_id: &KeyId) -> Result<StoredKey, Problem> {
    find(ledger, key_id).await?.ok_or_else(Problem::key_not_found)
}

async fn find(ledger: &Ledger, key_id: &KeyId) -> Result<Option<StoredKey>, StoreError> {
    let plan = plans::get_setting(&ledger.config.tables, KEYS, key_id.as_str()).consistent_read(true);
    let item: Option<AttributeMap> = ledger.store.get(plan).await?;
    Ok(item.map(key_of_item).transpose()?)
}

fn view(key: &StoredKey, now: Timestamp) -> View<'_> {
    let AccessKey { key_id, owner, scopes, expires_at, allowance, storage_quota_bytes } = &key.access;
    View {
        key_id,
        owner,
        name: key.name.as_ref(),
        scopes,
        requests_per_minute: allowance.map(Allowance::per_minute),
        burst: allowance.map(Allowance::burst),
        storage_quota_bytes: *storage_quota_bytes,
        created_at: key.created_at,
        created_by: key.created_by.as_deref(),
        expires_at: *expires_at,
        revoked_at: key.revoked_at,
        active: key.is_good(now),
    }
}
