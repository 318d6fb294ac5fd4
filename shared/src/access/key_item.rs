//! A key as it is stored in `settings`, and the requests that read and change it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{AccessKey, Invalid, JobName, KeyHash, KeyId, Owner, RateLimit, Scope, Timestamp};
use crate::store::schema::{EXPIRES_AT, ID, KEYS, KIND};
use crate::store::value::{changing, n, s};
use crate::store::{AttributeMap, Corrupt, Tables, plans};

/// On a revoked key: when it was.
const REVOKED_AT: &str = "revoked_at";
/// On a revoked key: which call revoked it. So that one whose answer was lost knows its own doing.
const REVOKED_BY: &str = "revoked_by";

/// How long a key is kept after it ended, in hours: 90 days, in which lists still show what it was.
const KEPT_HOURS: i64 = 90 * 24;

/// A key, as it is stored.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// The part that a call needs.
    pub access: AccessKey,
    /// Its name for people.
    pub name: Option<JobName>,
    /// When it was made.
    pub created_at: Timestamp,
    /// With which key it was made.
    pub created_by: Option<KeyId>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The SHA-256 of its text.
    pub(super) hash: KeyHash,
}

/// A key that shall be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Whose key it shall be.
    pub owner: Owner,
    /// Its name for people.
    pub name: Option<JobName>,
    /// The scopes that it allows.
    pub scopes: BTreeSet<Scope>,
    /// How many calls it may make.
    pub rate_limit: Option<RateLimit>,
    /// How many bytes its owner may keep for it to add more.
    pub storage_quota_bytes: Option<u64>,
    /// How many types its owner may use for it to use a new one.
    pub max_types: Option<u32>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// The changes of a key; a field that is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// Its name for people; `Some(None)`: no name.
    pub name: Option<Option<JobName>>,
    /// The scopes that it allows.
    pub scopes: Option<BTreeSet<Scope>>,
    /// Its rate; `Some(None)`: no limit.
    pub rate_limit: Option<Option<RateLimit>>,
    /// Most bytes that its owner may keep; `Some(None)`: no limit.
    pub storage_quota_bytes: Option<Option<u64>>,
    /// Most types that its owner may use; `Some(None)`: as many as the deployment says.
    pub max_types: Option<Option<u32>>,
    /// When it ends; `Some(None)`: never.
    pub expires_at: Option<Option<Timestamp>>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    hash: String,
    owner: String,
    scopes: BTreeSet<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    created_at: i64,
    #[serde(default)]
    created_by: Option<String>,
    #[serde(default)]
    per_minute: Option<u32>,
    #[serde(default)]
    burst: Option<u32>,
    #[serde(default)]
    storage_quota_bytes: Option<u64>,
    #[serde(default)]
    max_types: Option<u32>,
    #[serde(default)]
    ends_at: Option<i64>,
    #[serde(default)]
    revoked_at: Option<i64>,
}

impl StoredKey {
    /// A key that was just made.
    pub fn new(
        access: AccessKey,
        hash: &KeyHash,
        name: Option<JobName>,
        created_by: Option<KeyId>,
        now: Timestamp,
    ) -> Self {
        let hash = hash.clone();
        Self { access, name, created_at: now, created_by, revoked_at: None, hash }
    }

    /// Whether it opens anything.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.access.expires_at.is_none_or(|end| now < end)
    }
}

/// Keeps a new key; refused where one is called the same, which chance does not bring about.
pub fn put_key(tables: &Tables, key: &StoredKey) -> PutItemInputBuilder {
    let AccessKey { key_id, owner, scopes, expires_at, rate_limit, storage_quota_bytes, max_types } =
        &key.access;
    let mut item = AttributeMap::from([
        ("hash".to_owned(), s(key.hash.as_str())),
        ("owner".to_owned(), s(owner)),
        ("scopes".to_owned(), words(scopes)),
        ("created_at".to_owned(), n(key.created_at.millis())),
    ]);
    let mut set = |name: &str, value: Option<AttributeValue>| {
        item.extend(value.map(|value| (name.to_owned(), value)));
    };
    set("name", key.name.as_ref().map(s));
    set("created_by", key.created_by.as_ref().map(s));
    set("per_minute", rate_limit.map(|rate_limit| n(rate_limit.per_minute())));
    set("burst", rate_limit.map(|rate_limit| n(rate_limit.burst())));
    set("storage_quota_bytes", storage_quota_bytes.map(n));
    set("max_types", max_types.map(n));
    set("ends_at", expires_at.map(|end| n(end.millis())));
    set(EXPIRES_AT, expires_at.map(|end| n(gone_at(end))));
    plans::put_setting(tables, KEYS, key_id.as_str(), item)
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", ID)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

/// Changes a key that is not revoked; answers it as it then is. A rate is one thing of two fields, of which a change may
/// say one: it is refused where the key has another rate than the change was made for.
pub(super) fn change_key(tables: &Tables, before: &StoredKey, change: &KeyChange) -> UpdateItemInputBuilder {
    let key_id = &before.access.key_id;
    let KeyChange { name, scopes, rate_limit, storage_quota_bytes, max_types, expires_at } = change;
    let mut changed: Vec<(&str, Option<AttributeValue>)> = Vec::new();
    changed.extend(name.as_ref().map(|name| ("name", name.as_ref().map(s))));
    changed.extend(scopes.as_ref().map(|scopes| ("scopes", Some(words(scopes)))));
    for rate_limit in rate_limit.iter().copied() {
        changed.push(("per_minute", rate_limit.map(|rate_limit| n(rate_limit.per_minute()))));
        changed.push(("burst", rate_limit.map(|rate_limit| n(rate_limit.burst()))));
    }
    changed.extend(storage_quota_bytes.map(|bytes| ("storage_quota_bytes", bytes.map(n))));
    changed.extend(max_types.map(|types| ("max_types", types.map(n))));
    for end in expires_at.iter().copied() {
        changed.push(("ends_at", end.map(|end| n(end.millis()))));
        changed.push((EXPIRES_AT, end.map(|end| n(gone_at(end)))));
    }
    let mut plan = of_key(tables, key_id)
        .expression_attribute_names("#id", ID)
        .expression_attribute_names("#revoked", REVOKED_AT);
    let there = "attribute_exists(#id) AND attribute_not_exists(#revoked)";
    plan = match (rate_limit, before.access.rate_limit) {
        (None, _) => plan.condition_expression(there),
        (Some(_), None) => {
            plan.condition_expression(format!("{there} AND attribute_not_exists(#per_minute)"))
        }
        (Some(_), Some(seen)) => plan
            .condition_expression(format!("{there} AND #per_minute = :seen_rate AND #burst = :seen_burst"))
            .expression_attribute_values(":seen_rate", n(seen.per_minute()))
            .expression_attribute_values(":seen_burst", n(seen.burst())),
    };
    changing(plan, changed)
}

/// Revokes a key, once; refused with the key as it is where it was revoked before.
pub(super) fn revoke_key(
    tables: &Tables,
    key_id: &KeyId,
    call: Uuid,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    of_key(tables, key_id)
        .update_expression("SET #revoked = :now, #end = :end, #by = :call")
        .expression_attribute_names("#by", REVOKED_BY)
        .expression_attribute_values(":call", s(call))
        .condition_expression("attribute_exists(#id) AND attribute_not_exists(#revoked)")
        .expression_attribute_names("#id", ID)
        .expression_attribute_names("#revoked", REVOKED_AT)
        .expression_attribute_names("#end", EXPIRES_AT)
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":end", n(gone_at(now)))
}

/// Whether it was this call that revoked a key.
pub(super) fn is_revoked_by(item: &AttributeMap, call: Uuid) -> bool {
    item.get(REVOKED_BY) == Some(&s(call))
}

/// The id of a stored key, even if the rest of the key cannot be read.
pub(super) fn id_of_item(item: &AttributeMap) -> Option<&str> {
    item.get(ID)?.as_s().ok().map(String::as_str)
}

/// When a stored key was revoked, also where the rest of it cannot be read.
pub(super) fn revoked_at_of_item(item: &AttributeMap) -> Option<Timestamp> {
    item.get(REVOKED_AT)?.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}

/// Reads so many keys in the order of their ids, after one.
pub(super) fn keys_after(tables: &Tables, after: Option<&str>, limit: usize) -> QueryInputBuilder {
    let plan = QueryInput::builder()
        .table_name(&tables.settings)
        .limit(i32::try_from(limit).unwrap_or(i32::MAX))
        .consistent_read(true)
        .expression_attribute_names("#kind", KIND)
        .expression_attribute_values(":kind", s(KEYS));
    match after {
        None => plan.key_condition_expression("#kind = :kind"),
        Some(after) => plan
            .key_condition_expression("#kind = :kind AND #id > :after")
            .expression_attribute_names("#id", ID)
            .expression_attribute_values(":after", s(after)),
    }
}

/// Reads a stored key.
pub(super) fn key_of_item(item: AttributeMap) -> Result<StoredKey, Corrupt> {
    let row: Row = serde_dynamo::from_item(item)
        .map_err(|error: serde_dynamo::Error| Corrupt::new("access key", error))?;
    let corrupt = |invalid: Invalid| Corrupt::new(format!("access key {}", row.id), invalid.0);
    let owner = Owner::try_from(row.owner.as_str()).map_err(corrupt)?;
    let key_id = KeyId::try_from(row.id.as_str()).map_err(corrupt)?;
    let hash = KeyHash::try_from(row.hash.as_str()).map_err(corrupt)?;
    if hash.key_id() != key_id {
        return Err(corrupt(Invalid::new("is kept under another name than its hash gives it")));
    }
    let created_by = row.created_by.as_deref().map(KeyId::try_from).transpose();
    let name = row.name.map(JobName::try_from).transpose().map_err(corrupt)?;
    let rate_limit = row.per_minute.map(|per_minute| RateLimit::new(per_minute, row.burst)).transpose();
    let access = AccessKey {
        key_id,
        owner,
        // A scope that we do not know allows nothing; the others still hold.
        scopes: row.scopes.iter().filter_map(|word| Scope::try_from(word.as_str()).ok()).collect(),
        expires_at: row.ends_at.map(Timestamp::from_millis),
        rate_limit: rate_limit.map_err(corrupt)?,
        storage_quota_bytes: row.storage_quota_bytes,
        max_types: row.max_types,
    };
    Ok(StoredKey {
        access,
        name,
        created_at: Timestamp::from_millis(row.created_at),
        created_by: created_by.map_err(corrupt)?,
        revoked_at: row.revoked_at.map(Timestamp::from_millis),
        hash,
    })
}

fn of_key(tables: &Tables, key_id: &KeyId) -> UpdateItemInputBuilder {
    UpdateItemInput::builder()
        .table_name(&tables.settings)
        .key(KIND, s(KEYS))
        .key(ID, s(key_id))
        .return_values(ReturnValue::AllNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}

fn words(scopes: &BTreeSet<Scope>) -> AttributeValue {
    AttributeValue::Ss(scopes.iter().map(|scope| scope.as_str().to_owned()).collect())
}

/// When an ended key leaves the table, in seconds since 1970.
fn gone_at(end: Timestamp) -> i64 {
    end.plus_hours(KEPT_HOURS).seconds_ceil()
}
