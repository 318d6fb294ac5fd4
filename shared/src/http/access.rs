//! Who calls, and what they may do.

use std::collections::BTreeSet;

use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;

use super::{Backend, Problem, QueryString, Ticket};
use crate::domain::{Invalid, KeyHash, Owner, Timestamp};

/// Longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a key.
    Open,
    /// Keys with this scope, or with `admin`.
    Scope(Scope),
    /// Keys with one of these scopes, or with `admin`: where a route is several, and each asks for its own by
    /// [`Call::require`](super::Call::require).
    Any(&'static [Scope]),
    /// As `Scope`; or, without a key, a ticket that somebody with such a key was given.
    ScopeOrTicket(Scope),
}

/// What a key allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Seeing the owner's jobs and numbers.
    Read,
    /// Creating, changing, cancelling and deleting jobs.
    Write,
    /// Claiming jobs and reporting on them.
    Work,
    /// All of these, also for another owner, and what only admins do.
    Admin,
}

impl Scope {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Work => "work",
            Self::Admin => "admin",
        }
    }
}

impl TryFrom<&str> for Scope {
    type Error = Invalid;

    fn try_from(word: &str) -> Result<Self, Invalid> {
        [Self::Read, Self::Write, Self::Work, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| Invalid::new("must be read, write, work or admin"))
    }
}

/// An access key, as far as a call needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// What people call it; never its text.
    pub key_id: String,
    /// Whose key it is.
    pub owner: Owner,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Who calls: the owner that the call acts for, and by which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What people call the key: for the log.
    pub key_id: String,
    /// The key's owner, or the one that an admin named with `?owner=`.
    pub owner: Owner,
    /// The owner that the request named, where it named one.
    pub acts_for: Option<Owner>,
    /// What the key allows.
    pub scopes: BTreeSet<Scope>,
}

impl Caller {
    /// Whether the key allows this.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Refuses a key that allows none of these.
    pub(super) fn require(&self, scopes: &[Scope]) -> Result<(), Problem> {
        if scopes.iter().any(|scope| self.allows(*scope)) {
            return Ok(());
        }
        let words: Vec<String> = scopes.iter().map(|scope| format!("{:?}", scope.as_str())).collect();
        Err(Problem::forbidden("missing_scope", format!("the key lacks the scope {}", words.join(" or "))))
    }
}

/// Finds out who calls, and refuses those who may not. The query comes back without what told it; with a ticket, it is
/// the one that the ticket was made for.
pub(super) async fn admit<B: Backend>(
    access: Access,
    headers: &HeaderMap,
    mut query: QueryString,
    backend: &B,
    now: Timestamp,
) -> Result<(Option<Caller>, QueryString), Problem> {
    let scopes = match &access {
        Access::Open => return Ok((None, query)),
        Access::Scope(scope) => std::slice::from_ref(scope),
        Access::Any(scopes) => scopes,
        Access::ScopeOrTicket(scope) => match query.take("ticket") {
            Some(text) => return redeem(&text, query, backend, now).await,
            None => std::slice::from_ref(scope),
        },
    };
    let acts_for = query.take("owner");
    let hash = KeyHash::of(key_text(headers)?);
    let key = backend.key(&hash, now).await?;
    let key = key.ok_or_else(|| Problem::unauthenticated("the key is not known, or has expired"))?;
    let AccessKey { key_id, owner, scopes: allowed, expires_at: _ } = key;
    let mut caller = Caller { key_id, owner, acts_for: None, scopes: allowed };
    caller.require(scopes)?;
    let Some(other) = acts_for else { return Ok((Some(caller), query)) };
    if other != caller.owner.as_str() && !caller.allows(Scope::Admin) {
        return Err(Problem::forbidden("missing_scope", "only an admin key may act for another owner"));
    }
    let owner = Owner::try_from(other.as_str())
        .map_err(|invalid| Problem::invalid_query(vec![super::FieldError::new("owner", invalid)]))?;
    caller.owner = owner.clone();
    caller.acts_for = Some(owner);
    Ok((Some(caller), query))
}

/// Takes a ticket. A key beside it is not looked at: clients that follow a redirection may or may not send it on.
async fn redeem<B: Backend>(
    text: &str,
    mut query: QueryString,
    backend: &B,
    now: Timestamp,
) -> Result<(Option<Caller>, QueryString), Problem> {
    let unknown = || Problem::unauthenticated("the ticket is not known, or has expired; ask for a new one");
    if text.len() > MAX_KEY_BYTES {
        return Err(unknown());
    }
    let ticket = backend.ticket(&KeyHash::of(text), now).await?.ok_or_else(unknown)?;
    let beside: Vec<String> = query.pairs().iter().map(|(name, _)| name.clone()).collect();
    for name in beside {
        query.take(&name);
        query.refuse(&name, Invalid::new("must be left out: the ticket holds the whole query"));
    }
    query.finish(Some(()))?;
    let Ticket { key_id, owner, query, expires_at: _ } = ticket;
    // Whatever its giver's key allowed: a ticket is for looking.
    Ok((Some(Caller { key_id, owner, acts_for: None, scopes: BTreeSet::from([Scope::Read]) }), query))
}

/// The key of a request: `Authorization: Bearer KEY` or `X-API-Key: KEY`.
fn key_text(headers: &HeaderMap) -> Result<&str, Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let bearer = match text(AUTHORIZATION.as_str()) {
        None => None,
        Some(value) => match value.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => Some(key.trim()),
            _ => return Err(Problem::unauthenticated("Authorization must be: Bearer KEY")),
        },
    };
    let key = match (bearer, text("x-api-key").map(str::trim)) {
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
        return Err(Problem::unauthenticated("the key is not known, or has expired"));
    }
    Ok(key)
}
