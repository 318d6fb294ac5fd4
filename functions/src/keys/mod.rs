//! `/v1/admin/keys`: making, listing, changing and revoking access keys. What a key may do is read again by every
//! execution environment within a minute; so long may a revoked key still work. Not here, where it could make itself a
//! successor: the caller's key is read at each call.

use std::error::Error;

use jobledger::Function;
use jobledger::domain::{Invalid, KeyId, Owner, Scope, Timestamp};
use jobledger::http::{Access, Answer, Call, Cursor, Problem, Route, function};
use jobledger::store::keys::{
    StoredKey, change_key, id_of_item, is_revoked_by, key_of_item, keys_after, make_key, read_key,
    revoke_key, revoked_at_of_item,
};
use jobledger::store::{KeyView, Ledger, StoreError, Written};
use lambda_http::http::{Method, StatusCode};
use serde::Serialize;

pub mod create_admin;
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

#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: KeyView<'a>,
    /// The only time that anybody sees it.
    key: &'a str,
}

#[derive(Serialize)]
struct Page<'a> {
    keys: Vec<KeyView<'a>>,
    has_more: bool,
    next_cursor: Option<String>,
}

/// A key that was revoked.
#[derive(Serialize)]
#[serde(untagged)]
enum Revoked<'a> {
    Key(KeyView<'a>),
    /// One that cannot be read.
    Remains {
        key_id: &'a KeyId,
        revoked_at: Option<Timestamp>,
        active: bool,
    },
}

impl Route for Keys {
    const NAME: &'static str = "keys";
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let one = call.path_value("key_id").map(KeyId::try_from);
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
                    _ => Ok(Answer::ok(&read(call.backend, &key_id).await?.view(call.now))),
                }
            }
        }
    }
}

/// `POST`: a new key, whose text is in this answer and nowhere else.
async fn make(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
    refuse_owner(&mut call, "must be left out: the body says whose key it is");
    call.query.clone().finish(Some(()))?;
    let new = parse::new_key(call.body, call.now)?;
    let made_with = call.caller()?.key.key_id.clone();
    let Ledger { store, config, .. } = call.backend;
    let (key, text) = make_key(store, &config.tables, new, Some(made_with), call.now).await?;
    call.audit("key.made", &key.access.key_id, Some(&key.access.owner), &key.view(call.now));
    let made = Made { view: key.view(call.now), key: &text };
    Ok(Answer::json(StatusCode::CREATED, &made)
        .with("location", format!("/v1/admin/keys/{}", key.access.key_id))
        .with("cache-control", "no-store"))
}

/// `GET`: keys in the order of their ids, those that ended within the last 90 days too.
async fn list(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
    let of = call.caller()?.acts_for.clone();
    let bound_to = format!("keys of {of:?}");
    let limit = call.query.optional("limit", parse::limit);
    let cursor = call.query.optional("cursor", |text: &str| Cursor::unseal(text, &bound_to));
    call.query.clone().finish(Some(()))?;
    let after = cursor.map(|cursor| cursor.after);
    let (keys, next) = page_of(call.backend, of.as_ref(), after, limit.unwrap_or(DEFAULT_PAGE)).await?;
    let keys = keys.iter().map(|key| key.view(call.now)).collect();
    let next_cursor = next.map(|after| Cursor { after }.seal(&bound_to));
    Ok(Answer::ok(&Page { keys, has_more: next_cursor.is_some(), next_cursor }))
}

/// The next keys, of this owner or of all; and after which id it goes on, where it does. One that cannot be read does not
/// hide the others.
async fn page_of(
    ledger: &Ledger,
    of: Option<&Owner>,
    mut after: Option<String>,
    limit: usize,
) -> Result<(Vec<StoredKey>, Option<String>), StoreError> {
    // One more than the page has says whether there is a next one.
    let at_once = if of.is_some() { FILTERED_READ } else { limit + 1 };
    let mut found: Vec<StoredKey> = Vec::new();
    for _ in 0..MAX_READS {
        let plan = keys_after(&ledger.config.tables, after.as_deref(), at_once);
        let read = ledger.store.query(plan).await?;
        for item in read.items.unwrap_or_default() {
            let id = id_of_item(&item).map(str::to_owned);
            match key_of_item(item) {
                Err(error) => tracing::warn!(error = &error as &dyn Error, id, "a key is not in the list"),
                Ok(key) if of.is_some_and(|owner| key.access.owner != *owner) => {}
                Ok(_) if found.len() == limit => return Ok((found, after)),
                Ok(key) => found.push(key),
            }
            after = id;
        }
        if read.last_evaluated_key.is_none() {
            return Ok((found, None));
        }
    }
    Ok((found, after))
}

/// `PATCH`: what is left out stays, and what is null goes.
async fn change(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let mut before = read(call.backend, key_id).await?;
    for _ in 0..MAX_TRIES {
        let change = parse::change(call.body, &before.access, call.now)?;
        match store.update(change_key(&config.tables, &before, &change)).await? {
            Written::Done(item) => {
                let after = key_of_item(item.unwrap_or_default())?;
                let after = after.view(call.now);
                call.audit("key.changed", key_id, Some(after.owner), &after);
                return Ok(Answer::ok(&after));
            }
            Written::Refused(item) => before = key_of_item(item.ok_or_else(Problem::key_not_found)?)?,
        }
        if before.revoked_at.is_some() {
            return Err(Problem::key_revoked());
        }
    }
    Err(StoreError::Unavailable("others changed the key at every try".into()).into())
}

/// `DELETE`: revokes it; again, and it stays as it was. One that cannot be read is revoked all the same.
async fn revoke(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let item = match store.update(revoke_key(&config.tables, key_id, call.fresh, call.now)).await? {
        Written::Done(item) => item.unwrap_or_default(),
        Written::Refused(item) => item.ok_or_else(Problem::key_not_found)?,
    };
    // Refused, it may be for its own first try, whose answer was lost.
    let is_done = is_revoked_by(&item, call.fresh);
    let revoked_at = revoked_at_of_item(&item);
    let key = key_of_item(item);
    let (owner, revoked) = match &key {
        Ok(key) => (Some(&key.access.owner), Revoked::Key(key.view(call.now))),
        Err(error) => {
            tracing::warn!(error = error as &dyn Error, %key_id, "the key that was revoked cannot be read");
            (None, Revoked::Remains { key_id, revoked_at, active: false })
        }
    };
    if is_done {
        call.audit("key.revoked", key_id, owner, &revoked);
    }
    Ok(Answer::ok(&revoked))
}

/// `?owner=` filters a list, and means nothing elsewhere: who says it would be misunderstood.
fn refuse_owner(call: &mut Call<'_, Ledger>, why: &'static str) {
    if call.caller.as_ref().is_some_and(|caller| caller.acts_for.is_some()) {
        call.query.refuse("owner", Invalid::new(why));
    }
}

async fn read(ledger: &Ledger, key_id: &KeyId) -> Result<StoredKey, Problem> {
    read_key(&ledger.store, &ledger.config.tables, key_id).await?.ok_or_else(Problem::key_not_found)
}
