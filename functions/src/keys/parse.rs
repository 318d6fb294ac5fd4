//! The settings of a key, read from the body of the request.

use jobledger::access::{KeyChange, NewKey};
use jobledger::domain::{
    AccessKey, DEFAULT_REQUESTS_PER_MINUTE, Invalid, MAX_BURST, MAX_REQUESTS_PER_MINUTE, MAX_TYPES_OF_OWNER,
    Owner, RateLimit, Scope, Timestamp, callers_owner,
};
use jobledger::http::{Fields, Problem, Raw, integer, text, timestamp};

/// Most scopes that may be named: each once, and some twice.
const MAX_SCOPES: usize = 16;
/// Largest storage quota, in bytes: a number of JSON holds it exactly everywhere.
const MAX_QUOTA_BYTES: i64 = 1 << 53;

/// The fields that a change of an existing key may have.
const CHANGEABLE: [&str; 7] =
    ["name", "scopes", "requests_per_minute", "burst", "storage_quota_bytes", "max_types", "expires_at"];

pub(crate) fn new_key(body: &[u8], now: Timestamp) -> Result<NewKey, Problem> {
    let mut fields = Fields::parse(body)?;
    let owner = fields.required("owner", |raw| text::<Owner>(raw).and_then(callers_owner));
    let scopes = fields.each("scopes", &(1..=MAX_SCOPES), scope);
    let KeyChange { name, rate_limit, storage_quota_bytes, max_types, expires_at, scopes: _ } =
        common(&mut fields, Some(DEFAULT_REQUESTS_PER_MINUTE), None, now);
    let key = owner.zip(scopes).map(|(owner, scopes)| NewKey {
        owner,
        scopes: scopes.into_iter().collect(),
        name: name.flatten(),
        rate_limit: rate_limit.unwrap_or_else(|| RateLimit::new(DEFAULT_REQUESTS_PER_MINUTE, None).ok()),
        storage_quota_bytes: storage_quota_bytes.flatten(),
        max_types: max_types.flatten(),
        expires_at: expires_at.flatten(),
    });
    fields.finish(key).map_err(Problem::invalid_body)
}

pub(crate) fn change(body: &[u8], key: &AccessKey, now: Timestamp) -> Result<KeyChange, Problem> {
    let mut fields = Fields::parse(body)?;
    let says_nothing = !CHANGEABLE.iter().any(|name| fields.has(name));
    let scopes = fields.has("scopes").then(|| fields.each("scopes", &(1..=MAX_SCOPES), scope));
    let (per_minute, burst) = key.rate_limit.map(|it| (it.per_minute(), it.burst())).unzip();
    // Nobody had set its burst, so it follows the new rate.
    let burst = burst.filter(|burst| Some(*burst) != per_minute.map(RateLimit::default_burst));
    let mut change = common(&mut fields, per_minute, burst, now);
    change.scopes = scopes.flatten().map(|scopes| scopes.into_iter().collect());
    if says_nothing {
        fields.refuse("body", Invalid(format!("must change something: {}", CHANGEABLE.join(", "))));
    }
    fields.finish(Some(change)).map_err(Problem::invalid_body)
}

/// The fields that a new key and an existing one share; the rate is one thing of two fields.
fn common(fields: &mut Fields, per_minute: Option<u32>, burst: Option<u32>, now: Timestamp) -> KeyChange {
    let name = fields.nullable("name", text);
    let rate =
        fields.nullable("requests_per_minute", |raw| integer(raw, 1..=i64::from(MAX_REQUESTS_PER_MINUTE)));
    let at_once = fields.nullable("burst", |raw| integer(raw, 1..=i64::from(MAX_BURST)));
    let storage_quota_bytes = fields.nullable("storage_quota_bytes", |raw| integer(raw, 0..=MAX_QUOTA_BYTES));
    let max_types = fields.nullable("max_types", |raw| integer(raw, 1..=i64::from(MAX_TYPES_OF_OWNER)));
    let expires_at = fields.nullable("expires_at", timestamp);
    if expires_at.flatten().is_some_and(|end| end <= now) {
        fields.refuse("expires_at", Invalid::new("must lie in the future; to end a key now, revoke it"));
    }
    let per_minute = rate.unwrap_or(per_minute);
    let rate_limit = match (per_minute, at_once.unwrap_or(burst)) {
        (Some(per_minute), burst) => {
            let rate_limit = RateLimit::new(per_minute, burst);
            rate_limit.map_err(|invalid| fields.refuse("burst", invalid)).ok()
        }
        (None, Some(_)) if at_once.flatten().is_some() => {
            fields.refuse("burst", Invalid::new("needs requests_per_minute"));
            None
        }
        (None, _) => None,
    };
    let is_said = rate.is_some() || at_once.is_some();
    KeyChange {
        name,
        scopes: None,
        rate_limit: is_said.then_some(rate_limit),
        storage_quota_bytes,
        max_types,
        expires_at,
    }
}

fn scope(raw: Raw<'_>) -> Result<Scope, Invalid> {
    text(raw)
}
