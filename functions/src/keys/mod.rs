//! `/v1/admin/keys`: making, listing, changing and revoking access keys. What a key may do is read again by every
//! execution environment within a minute; so long may a revoked key still work. Not here, where it could make itself a
//! successor: the caller's key is read at each call.

use jobledger::access::{KeyPage, Revocation};
use jobledger::domain::{AccessKey, Invalid, KeyId, Scope, Timestamp};
use jobledger::http::{Access, Answer, Call, Cursor, KeyView, Problem, Route, function};
use jobledger::store::Ledger;
use jobledger::{Environment, Function};
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
                    _ => Ok(Answer::ok(&call.backend.keys().get(&key_id).await?.view(call.now))),
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
    let secret = Environment::fresh_secret();
    let (key, text) = call.backend.keys().create(new, &secret, Some(made_with), call.now).await?;
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
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    let KeyPage { keys, next } = call.backend.keys().page(of.as_ref(), after, limit).await?;
    let keys = keys.iter().map(|key| key.view(call.now)).collect();
    let next_cursor = next.map(|after| Cursor { after }.seal(&bound_to));
    Ok(Answer::ok(&Page { keys, has_more: next_cursor.is_some(), next_cursor }))
}

/// `PATCH`: what is left out stays, and what is null goes.
async fn change(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let decide = |key: &AccessKey| parse::change(call.body, key, call.now);
    let after = call.backend.keys().change(key_id, decide).await?;
    let after = after.view(call.now);
    call.audit("key.changed", key_id, Some(after.owner), &after);
    Ok(Answer::ok(&after))
}

/// `DELETE`: revokes it; again, and it stays as it was. One that cannot be read is revoked all the same.
async fn revoke(call: Call<'_, Ledger>, key_id: &KeyId) -> Result<Answer, Problem> {
    let Revocation { key, revoked_at, is_new } =
        call.backend.keys().revoke(key_id, call.fresh, call.now).await?;
    let owner = key.as_ref().map(|key| &key.access.owner);
    let revoked = match &key {
        Some(key) => Revoked::Key(key.view(call.now)),
        None => Revoked::Remains { key_id, revoked_at, active: false },
    };
    if is_new {
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
