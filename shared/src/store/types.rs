//! The settings of types, and how many of their slots are taken: items of `settings`, an owner's type each.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, Select};
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::schema::{ID, KIND, QUEUE_INDEX, TYPE_STATUS_INDEX, TYPES};
use super::value::{changing, n, s};
use super::{AttributeMap, Corrupt, Error, Ledger, StoreError, Tables, Written, plans};
use crate::domain::{Mode, Owner, Stage, Stages, Status, TaskName, Timestamp, TypeName, TypeSettings};

/// How long settings are remembered where that does no harm, in milliseconds: so long may old ones still hold.
const REMEMBERED_MS: i64 = 60_000;
/// How long it is remembered that a type has none: so long may its first ones not yet hold.
const UNSET_REMEMBERED_MS: i64 = 5_000;
/// How long a type hands out no jobs after it was limited for the first time, in milliseconds: until claims that take
/// jobs without regard to a limit have ended, and the jobs that run have been given slots.
const CLOSED_MS: i64 = 30_000;

/// Tries to write while others change the same type's limit.
const MAX_TRIES: u32 = 5;

/// A type, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredType {
    /// The settings that its owner decided.
    pub settings: TypeSettings,
    /// How many jobs have a slot. Means something only where there is a limit.
    pub running: u64,
    /// Until then no job of it is handed out: it was limited while there were jobs.
    pub opens_at: Option<Timestamp>,
    /// Whether every job that runs has a slot. Only then does a limit hold by the number of slots.
    pub adopted: bool,
    /// When its settings were last put.
    pub updated_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    max_concurrency: Option<u32>,
    #[serde(default)]
    timeout_seconds: Option<u32>,
    #[serde(default)]
    max_attempts: Option<u32>,
    backoff_seconds: u32,
    #[serde(default)]
    stages: Vec<StageRow>,
    mode: String,
    #[serde(default)]
    running: u64,
    #[serde(default)]
    opens_at: Option<i64>,
    #[serde(default)]
    adopted: bool,
    updated_at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct StageRow {
    name: String,
    weight: u32,
}

/// Under which id a type's item is. Neither name has a `#`.
pub fn type_id(owner: &Owner, kind: &TypeName) -> String {
    format!("{owner}#{kind}")
}

/// Reads what is stored of a type, as of now.
pub fn get_type(tables: &Tables, owner: &Owner, kind: &TypeName) -> GetItemInputBuilder {
    plans::get_setting(tables, TYPES, &type_id(owner, kind)).consistent_read(true)
}

/// The same of up to 100 types at once.
pub fn get_types(
    tables: &Tables,
    owner: &Owner,
    kinds: &BTreeSet<TypeName>,
) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let keys = kinds.iter().map(|kind| type_key(owner, kind)).collect();
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
    let keys = keys.map_err(|error| Corrupt::new("batch of types", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.settings, keys))
}

fn type_key(owner: &Owner, kind: &TypeName) -> AttributeMap {
    AttributeMap::from([(KIND.to_owned(), s(TYPES)), (ID.to_owned(), s(type_id(owner, kind)))])
}

/// The name of a type and what is stored of it.
pub fn type_of_item(item: AttributeMap) -> Result<(TypeName, StoredType), Corrupt> {
    let row: Row = serde_dynamo::from_item(item)
        .map_err(|error: serde_dynamo::Error| Corrupt::new("settings of a type", error))?;
    let corrupt = |problem: String| Corrupt::new(format!("settings of the type {}", row.id), problem);
    let name = row.id.split_once('#').map_or("", |(_, kind)| kind);
    let kind = TypeName::try_from(name).map_err(|invalid| corrupt(invalid.0))?;
    let stages = row.stages.iter().map(|stage| {
        let name = TaskName::of_store(stage.name.clone())?;
        Ok(Stage { name, weight: stage.weight })
    });
    let stages = stages.collect::<Result<Vec<_>, _>>().and_then(Stages::try_from);
    let settings = TypeSettings {
        max_concurrency: row.max_concurrency,
        timeout_seconds: row.timeout_seconds,
        max_attempts: row.max_attempts,
        backoff_seconds: row.backoff_seconds,
        stages: stages.map_err(|invalid| corrupt(invalid.0))?,
        mode: Mode::try_from(row.mode.clone()).map_err(|invalid| corrupt(invalid.0))?,
    };
    let stored = StoredType {
        settings,
        running: row.running,
        opens_at: row.opens_at.map(Timestamp::from_millis),
        adopted: row.adopted,
        updated_at: Timestamp::from_millis(row.updated_at),
    };
    Ok((kind, stored))
}

/// Puts a type's settings in the place of others, unless another limit than the one that was read holds by now; slots
/// that are taken stay so. Answers the item as it then is.
///
/// A first limit closes the type for a while: jobs may run that have no slot.
pub fn put_type(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    settings: &TypeSettings,
    seen: Option<u32>,
    now: Timestamp,
) -> Result<UpdateItemInputBuilder, Corrupt> {
    let stages = settings.stages.as_slice().iter();
    let stages: Vec<_> =
        stages.map(|stage| StageRow { name: stage.name.to_string(), weight: stage.weight }).collect();
    let stages = (!stages.is_empty()).then(|| serde_dynamo::to_attribute_value(stages)).transpose();
    let stages = stages.map_err(|error| Corrupt::new("settings of a type", error))?;
    let mut changed = vec![
        ("backoff_seconds", Some(n(settings.backoff_seconds))),
        ("mode", Some(s(settings.mode.as_str()))),
        ("updated_at", Some(n(now.millis()))),
        ("max_concurrency", settings.max_concurrency.map(n)),
        ("timeout_seconds", settings.timeout_seconds.map(n)),
        ("max_attempts", settings.max_attempts.map(n)),
        ("stages", stages),
    ];
    match (seen, settings.max_concurrency) {
        (Some(_), Some(_)) => {}
        (None, Some(_)) => changed.extend([
            ("opens_at", Some(n(now.plus_millis(CLOSED_MS).millis()))),
            ("adopted", Some(AttributeValue::Bool(false))),
        ]),
        (_, None) => changed.extend([("opens_at", None), ("adopted", None)]),
    }
    let plan = UpdateItemInput::builder().table_name(&tables.settings).return_values(ReturnValue::AllNew);
    Ok(with_limit(changing(plan, changed), seen).set_key(Some(type_key(owner, kind))))
}

/// Opens a type that is closed until then, as all that runs has a slot. Answers the item as it then is.
pub fn open_type(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    opens_at: Timestamp,
) -> UpdateItemInputBuilder {
    let plan = UpdateItemInput::builder().table_name(&tables.settings).return_values(ReturnValue::AllNew);
    changing(plan, vec![("adopted", Some(AttributeValue::Bool(true))), ("opens_at", None)])
        .set_key(Some(type_key(owner, kind)))
        .condition_expression("opens_at = :seen")
        .expression_attribute_values(":seen", n(opens_at.millis()))
}

fn with_limit(plan: UpdateItemInputBuilder, seen: Option<u32>) -> UpdateItemInputBuilder {
    match seen {
        None => plan.condition_expression("attribute_not_exists(#max_concurrency)"),
        Some(limit) => plan
            .condition_expression("#max_concurrency = :seen")
            .expression_attribute_values(":seen", n(limit)),
    }
}

/// Looks whether any job of a type waits, in a part of its queue.
pub fn any_waits(tables: &Tables, owner: &Owner, kind: &TypeName, shard: u16) -> QueryInputBuilder {
    any(tables, owner, kind, shard)
        .index_name(QUEUE_INDEX)
        .key_condition_expression("#owner = :owner AND #type = :type AND #shard = :shard")
}

/// Looks whether any job of a type runs, in a part of the index.
pub fn any_runs(tables: &Tables, owner: &Owner, kind: &TypeName, shard: u16) -> QueryInputBuilder {
    any(tables, owner, kind, shard)
        .index_name(TYPE_STATUS_INDEX)
        .key_condition_expression(
            "#owner = :owner AND #type = :type AND #status = :status AND #shard = :shard",
        )
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":status", s(Status::Running))
}

fn any(tables: &Tables, owner: &Owner, kind: &TypeName, shard: u16) -> QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.jobs)
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_names("#type", "type")
        .expression_attribute_names("#shard", "shard")
        .expression_attribute_values(":owner", s(owner))
        .expression_attribute_values(":type", s(kind))
        .expression_attribute_values(":shard", n(shard))
        .select(Select::Count)
        .limit(1)
}

/// The types that this execution environment has seen.
pub(super) type KnownTypes = Memory<(Owner, TypeName), TypeSettings>;

impl Ledger {
    /// A type's settings as they are or were up to a minute ago; the default where it has none.
    pub async fn type_settings(&self, owner: &Owner, kind: &TypeName) -> Result<TypeSettings, StoreError> {
        let (key, now) = ((owner.clone(), kind.clone()), (self.clock)());
        if let Some(settings) = self.known_types.recall(&key, now) {
            return Ok(settings);
        }
        let plan = get_type(&self.config.tables, owner, kind).consistent_read(false);
        let stored = self.store.get(plan).await?.map(type_of_item).transpose()?;
        let remembered_ms = if stored.is_some() { REMEMBERED_MS } else { UNSET_REMEMBERED_MS };
        let settings = stored.map(|(_, stored)| stored.settings).unwrap_or_default();
        self.known_types.remember(key, settings.clone(), now, remembered_ms);
        Ok(settings)
    }

    /// The stored form of these types, as of now; types that are not stored are left out.
    pub async fn types_now(
        &self,
        owner: &Owner,
        kinds: &BTreeSet<TypeName>,
    ) -> Result<HashMap<TypeName, StoredType>, StoreError> {
        if kinds.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.store.batch_get(get_types(&self.config.tables, owner, kinds)?).await?;
        Ok(found.into_values().flatten().map(type_of_item).collect::<Result<_, Corrupt>>()?)
    }
}

/// The settings of types: the operations that routes offer.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    ledger: &'a Ledger,
}

impl Ledger {
    /// The settings of types.
    pub fn types(&self) -> Types<'_> {
        Types { ledger: self }
    }
}

impl Types<'_> {
    /// The stored form of a type, as of now; `None`: nobody has decided anything.
    pub async fn get(self, owner: &Owner, kind: &TypeName) -> Result<Option<StoredType>, Error> {
        let Ledger { store, config, .. } = self.ledger;
        let item = store.get(get_type(&config.tables, owner, kind)).await?;
        Ok(item.map(stored_type).transpose()?)
    }

    /// Writes the settings. A first limit closes the type, and opens it at once where no job of it is about.
    ///
    /// It is closed before anybody looks: so a job that comes or is taken meanwhile is either seen, or waits for a slot.
    pub async fn put(
        self,
        owner: &Owner,
        kind: &TypeName,
        settings: &TypeSettings,
        now: Timestamp,
    ) -> Result<StoredType, Error> {
        let Ledger { store, config, .. } = self.ledger;
        for _ in 0..MAX_TRIES {
            let seen = self.get(owner, kind).await?.and_then(|stored| stored.settings.max_concurrency);
            let plan = put_type(&config.tables, owner, kind, settings, seen, now)?;
            let Written::Done(item) = store.update(plan).await? else { continue };
            let written = stored_type(item.unwrap_or_default())?;
            let (None, Some(opens_at)) = (seen, written.opens_at) else { return Ok(written) };
            if self.is_any_about(owner, kind).await? {
                return Ok(written);
            }
            let opened = store.update(open_type(&config.tables, owner, kind, opens_at)).await?;
            return match opened {
                Written::Done(item) => Ok(stored_type(item.unwrap_or_default())?),
                // Somebody has put other settings since, or has opened it already.
                Written::Refused(_) => Ok(written),
            };
        }
        Err(StoreError::Unavailable("others changed the type's limit at every try".into()).into())
    }

    /// Whether a job of the type waits or runs. Looked at in the order of a job's way, and its beginning once more: one that
    /// goes on, or goes back, between two looks is seen by one of them.
    async fn is_any_about(self, owner: &Owner, kind: &TypeName) -> Result<bool, StoreError> {
        let source = self.ledger.source().await?;
        for shard in 0..source.shards {
            for look in [any_waits, any_runs, any_waits] {
                if source.store.query(look(source.tables, owner, kind, shard)).await?.count > 0 {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

fn stored_type(item: AttributeMap) -> Result<StoredType, Corrupt> {
    Ok(type_of_item(item)?.1)
}
