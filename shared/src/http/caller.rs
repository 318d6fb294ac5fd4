//! The caller, and the caller's rights.

use std::collections::BTreeSet;

use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;

use super::Problem;
use crate::access::{AccessControl, Freshness, Ticket, may_be_key};
use crate::domain::{AccessKey, FieldError, Invalid, KeyHash, Owner, QueryString, Scope, Timestamp};

/// Longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// The callers that may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a key.
    Open,
    /// Keys with this scope, or with `admin`.
    Scope(Scope),
    /// As `Scope`; but the key is read anew, not from memory. It is for routes where a key that works on for a minute
    /// after it was revoked would do lasting harm.
    ScopeNow(Scope),
    /// Keys with one of these scopes, or with `admin`: where a route is several, and each asks for its own by
    /// [`Call::require`](super::Call::require).
    Any(&'static [Scope]),
    /// As `Scope`; or, without a key, a ticket that somebody with such a key was given.
    ScopeOrTicket(Scope),
}

impl Access {
    /// Whether the route only reads, whatever its method.
    pub(super) fn is_read(self) -> bool {
        matches!(self, Self::Scope(Scope::Read) | Self::ScopeOrTicket(Scope::Read))
    }
}

/// The caller: the owner that the call acts for, and by which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key; of one that a ticket stands for, only the scopes that the ticket has.
    pub key: AccessKey,
    /// The key's owner, or the one that an admin named with `?owner=`.
    pub owner: Owner,
    /// The owner that the request named, where it named one.
    pub acts_for: Option<Owner>,
}

impl Caller {
    /// Whether the key allows this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.key.allows(scope)
    }

    /// Refuses a key that allows none of these.
    pub(super) fn require(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if scopes.iter().any(|scope| self.allows(*scope)) {
            return Ok(());
        }
        let words: Vec<String> = scopes.iter().map(|scope| format!("{:?}", scope.as_str())).collect();
        Err(Problem::forbidden("missing_scope", format!("the key lacks the scope {}", words.join(" or "))))
    }

    /// Refuses a key that may not act for this owner; from here on, the call does.
    fn act_for(&mut self, owner: &str) -> Result<(), Problem> {
        if owner != self.key.owner.as_str() && !self.allows(Scope::Admin) {
            return Err(Problem::forbidden("missing_scope", "only an admin key may act for another owner"));
        }
        self.owner = Owner::try_from(owner)
            .map_err(|invalid| Problem::invalid_query(vec![FieldError::new("owner", invalid)]))?;
        Ok(())
    }
}

/// The credential that a request showed.
#[derive(Debug)]
pub(super) struct Credential {
    /// A key that is good.
    pub(super) key: AccessKey,
    /// The ticket that came in its place.
    ticket: Option<Ticket>,
}

/// Finds out who calls, and refuses whom nobody knows. `None`: that does not matter.
pub(super) async fn authenticate<C: AccessControl>(
    access: Access,
    headers: &HeaderMap,
    query: &mut QueryString,
    control: &C,
    now: Timestamp,
) -> Result<Option<Credential>, Problem> {
    let freshness = match access {
        Access::Open => return Ok(None),
        Access::ScopeOrTicket(_) => {
            if let Some(text) = query.take("ticket") {
                return redeem(&text, control, now).await.map(Some);
            }
            Freshness::Remembered
        }
        Access::Scope(_) | Access::Any(_) => Freshness::Remembered,
        Access::ScopeNow(_) => Freshness::Now,
    };
    let text = key_text(headers)?;
    if !may_be_key(text) {
        return Err(unknown_key());
    }
    let key = control.key(&KeyHash::of(text), freshness, now).await?.ok_or_else(unknown_key)?;
    Ok(Some(Credential { key, ticket: None }))
}

/// Refuses a caller that may not do this. The query comes back without the parameters that told for whom the call acts.
pub(super) fn authorize(
    access: Access,
    Credential { key, ticket }: Credential,
    mut query: QueryString,
) -> Result<(Caller, QueryString), Problem> {
    let scopes = match &access {
        Access::Open => &[],
        Access::Scope(scope) | Access::ScopeNow(scope) | Access::ScopeOrTicket(scope) => {
            std::slice::from_ref(scope)
        }
        Access::Any(scopes) => *scopes,
    };
    let mut caller = Caller { owner: key.owner.clone(), key, acts_for: None };
    caller.require(scopes)?;
    if let Some(ticket) = ticket {
        return hold(caller, ticket, query);
    }
    if let Some(other) = query.take("owner") {
        caller.act_for(&other)?;
        caller.acts_for = Some(caller.owner.clone());
    }
    Ok((caller, query))
}

fn unknown_key() -> Problem {
    Problem::unauthenticated("the key is not known, was revoked, or has expired")
}

/// Takes a ticket. A key beside it is not looked at: clients that follow a redirection may or may not send it on.
async fn redeem<C: AccessControl>(text: &str, control: &C, now: Timestamp) -> Result<Credential, Problem> {
    let unknown = || Problem::unauthenticated("the ticket is not known, or has expired; ask for a new one");
    if text.len() > MAX_KEY_BYTES {
        return Err(unknown());
    }
    let (ticket, key) = control.ticket(&KeyHash::of(text), now).await?.ok_or_else(unknown)?;
    Ok(Credential { key, ticket: Some(ticket) })
}

/// The holder of a ticket, and the query that it was made for. If the key may not do something any more, the ticket
/// does not stand for it either.
fn hold(
    mut caller: Caller,
    ticket: Ticket,
    mut beside: QueryString,
) -> Result<(Caller, QueryString), Problem> {
    let Ticket { key_id: _, owner, query, expires_at: _ } = ticket;
    caller.act_for(owner.as_str())?;
    let names: Vec<String> = beside.pairs().iter().map(|(name, _)| name.clone()).collect();
    for name in names {
        beside.take(&name);
        beside.refuse(&name, Invalid::new("must be left out: the ticket holds the whole query"));
    }
    beside.finish(Some(()))?;
    // A ticket is for looking, whatever the key allows.
    caller.key.scopes = BTreeSet::from([Scope::Read]);
    Ok((caller, query))
}

/// The token in `Authorization: Bearer`; `None`: there is no such header. No honest caller sends two of them.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    match text.and_then(|text| text.split_once(' ')) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(key.trim())),
        Some(_) | None => Err(Problem::unauthenticated("Authorization must be: Bearer KEY")),
    }
}

/// The key of a request: `Authorization: Bearer KEY` or `X-API-Key: KEY`.
fn key_text(headers: &HeaderMap) -> Result<&str, Problem> {
    let named = headers.get("x-api-key").map(|value| value.to_str().unwrap_or_default().trim());
    let key = match (bearer(headers)?, named) {
        (Some(one), Some(other)) if one != other => {
            return Err(Problem::unauthenticated(
                "Authorization and X-API-Key hold different keys; send one",
            ));
        }
        (Some(key), _) | (None, Some(key)) => key,
        (None, None) => {
            return Err(Problem::unauthenticated("send a key: Authorization: Bearer KEY, or X-API-Key: KEY"));
        }
    };
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(unknown_key());
    }
    Ok(key)
}
