//! Who calls, and what they may do.

use std::collections::BTreeSet;

use lambda_http::http::HeaderMap;
use lambda_http::http::header::AUTHORIZATION;
use serde::{Serialize, Serializer};

use super::{Gate, Problem, QueryString, Ticket};
use crate::domain::{Allowance, Invalid, KeyHash, KeyId, Owner, Timestamp};
use crate::lambda::Environment;

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

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl TryFrom<String> for Scope {
    type Error = Invalid;

    fn try_from(word: String) -> Result<Self, Invalid> {
        Self::try_from(word.as_str())
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
    /// What it is called; never its text.
    pub key_id: KeyId,
    /// Whose key it is.
    pub owner: Owner,
    /// What it allows.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// How many calls it may make; `None`: as many as the API lets through.
    pub allowance: Option<Allowance>,
    /// How many bytes its owner may keep for it to add more; `None`: no end.
    pub storage_quota_bytes: Option<u64>,
}

/// Who calls: the owner that the call acts for, and by which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// What the key is called: for the log.
    pub key_id: String,
    /// The key; `None`: a ticket came in its place.
    pub key: Option<AccessKey>,
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

/// Begins the text of every key, so that those who look for lost secrets know one when they see it.
pub const KEY_PREFIX: &str = "jobledger_";

/// The text of a new key, which nobody can guess, and all of it that is kept.
pub fn fresh_key() -> (String, KeyHash) {
    let text = format!("{KEY_PREFIX}{}", Environment::fresh_secret());
    let hash = KeyHash::of(&text);
    (text, hash)
}

/// What a request shows of who sends it.
#[derive(Debug)]
pub(super) enum Shown {
    /// Nothing, and nothing is wanted.
    Nothing,
    /// A ticket.
    Ticket(Ticket),
    /// A key that is good.
    Key(AccessKey),
}

/// Finds out who calls, and refuses whom nobody knows.
pub(super) async fn look<G: Gate>(
    access: Access,
    headers: &HeaderMap,
    query: &mut QueryString,
    gate: &G,
    now: Timestamp,
) -> Result<Shown, Problem> {
    match access {
        Access::Open => return Ok(Shown::Nothing),
        Access::ScopeOrTicket(_) => {
            if let Some(text) = query.take("ticket") {
                return Ok(Shown::Ticket(redeem(&text, query, gate, now).await?));
            }
        }
        Access::Scope(_) | Access::Any(_) => {}
    }
    let key = gate.key(&KeyHash::of(key_text(headers)?), now).await?;
    Ok(Shown::Key(key.ok_or_else(unknown_key)?))
}

/// Refuses a key that may not do this. The query comes back without what told for whom it acts.
pub(super) fn admit(
    access: Access,
    key: AccessKey,
    mut query: QueryString,
) -> Result<(Caller, QueryString), Problem> {
    let scopes = match &access {
        Access::Open => &[],
        Access::Scope(scope) | Access::ScopeOrTicket(scope) => std::slice::from_ref(scope),
        Access::Any(scopes) => *scopes,
    };
    let acts_for = query.take("owner");
    let (key_id, owner, allowed) = (key.key_id.to_string(), key.owner.clone(), key.scopes.clone());
    let mut caller = Caller { key_id, key: Some(key), owner, acts_for: None, scopes: allowed };
    caller.require(scopes)?;
    let Some(other) = acts_for else { return Ok((caller, query)) };
    if other != caller.owner.as_str() && !caller.allows(Scope::Admin) {
        return Err(Problem::forbidden("missing_scope", "only an admin key may act for another owner"));
    }
    let owner = Owner::try_from(other.as_str())
        .map_err(|invalid| Problem::invalid_query(vec![super::FieldError::new("owner", invalid)]))?;
    caller.owner = owner.clone();
    caller.acts_for = Some(owner);
    Ok((caller, query))
}

fn unknown_key() -> Problem {
    Problem::unauthenticated("the key is not known, was revoked, or has expired")
}

/// Takes a ticket. A key beside it is not looked at: clients that follow a redirection may or may not send it on.
async fn redeem<G: Gate>(
    text: &str,
    query: &mut QueryString,
    gate: &G,
    now: Timestamp,
) -> Result<Ticket, Problem> {
    let unknown = || Problem::unauthenticated("the ticket is not known, or has expired; ask for a new one");
    if text.len() > MAX_KEY_BYTES {
        return Err(unknown());
    }
    let ticket = gate.ticket(&KeyHash::of(text), now).await?.ok_or_else(unknown)?;
    let beside: Vec<String> = query.pairs().iter().map(|(name, _)| name.clone()).collect();
    for name in beside {
        query.take(&name);
        query.refuse(&name, Invalid::new("must be left out: the ticket holds the whole query"));
    }
    query.finish(Some(()))?;
    Ok(ticket)
}

/// Who holds a ticket, and the query that it was made for.
pub(super) fn holder(ticket: Ticket) -> (Caller, QueryString) {
    let Ticket { key_id, owner, query, expires_at: _ } = ticket;
    // Whatever its giver's key allowed: a ticket is for looking.
    let scopes = BTreeSet::from([Scope::Read]);
    (Caller { key_id, key: None, owner, acts_for: None, scopes }, query)
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
        return Err(unknown_key());
    }
    Ok(key)
}
