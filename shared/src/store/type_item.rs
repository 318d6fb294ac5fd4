//! A type as an item of `settings`, an owner's type each, and the requests that read and write it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, Select};
use serde::{Deserialize, Serialize};

use super::schema::{ID, KIND, QUEUE_INDEX, TYPE_INDEX, TYPE_STATUS_INDEX, TYPES};
use super::value::{changing, n, s};
use super::{AttributeMap, Corrupt, Tables, plans};
use crate::domain::{
    Mode, Owner, SettingsChange, Stage, Stages, Status, TaskName, Timestamp, TypeName, TypeSettings,
};

/// How long claims that began before a type was limited for the first time may take jobs without a slot, in
/// milliseconds: longer than a call may take.
const SETTLES_MS: i64 = 30_000;

/// A type, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredType {
    /// The settings that its owner decided.
    pub settings: TypeSettings,
    /// How many jobs have a slot. Means something only where there is a limit.
    pub running: u64,
    /// Until then, claims that began before its first limit may take jobs without a slot: there were jobs when it was
    /// limited. Then those jobs get slots, too.
    pub opens_at: Option<Timestamp>,
    /// Whether the jobs that ran when the type was limited have slots. Before that no job of it is handed out.
    pub adopted: bool,
    /// Since when no job of it is handed out; `None`: it is not paused.
    pub paused_at: Option<Timestamp>,
    /// When its settings were last changed, or it was paused or resumed.
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
    #[serde(default)]
    paused_at: Option<i64>,
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
        paused_at: row.paused_at.map(Timestamp::from_millis),
        updated_at: Timestamp::from_millis(row.updated_at),
    };
    Ok((kind, stored))
}

/// The state of a type's item that a change of its settings was decided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none.
    Nothing,
    /// It has this limit, or none.
    Limit(Option<u32>),
}

/// Changes a type's settings, unless the item or its limit is another one by now; slots that are taken stay so. Answers
/// the item as it then is.
///
/// After a first limit, jobs may run that have no slot.
pub fn change_type(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    change: &SettingsChange,
    found: Found,
    now: Timestamp,
) -> Result<UpdateItemInputBuilder, Corrupt> {
    let SettingsChange { max_concurrency, timeout_seconds, max_attempts, backoff_seconds, stages, mode } =
        change;
    let mut changed = vec![("updated_at", Some(n(now.millis())))];
    let numbers = [
        ("max_concurrency", max_concurrency),
        ("timeout_seconds", timeout_seconds),
        ("max_attempts", max_attempts),
    ];
    changed.extend(numbers.into_iter().filter_map(|(name, value)| Some((name, (*value)?.map(n)))));
    changed.extend(backoff_seconds.map(|seconds| ("backoff_seconds", Some(n(seconds)))));
    changed.extend(mode.map(|mode| ("mode", Some(s(mode.as_str())))));
    if let Some(stages) = stages {
        changed.push(("stages", stages_value(stages)?));
    }
    let is_limited = matches!(found, Found::Limit(Some(_)));
    match (is_limited, max_concurrency) {
        (_, None) | (true, Some(Some(_))) => {}
        (false, Some(Some(_))) => changed.extend([
            ("opens_at", Some(n(now.plus_millis(SETTLES_MS).millis()))),
            ("adopted", Some(AttributeValue::Bool(false))),
        ]),
        (_, Some(None)) => changed.extend([("opens_at", None), ("adopted", None)]),
    }
    let plan = changing(of_type(tables, owner, kind), changed);
    Ok(match (found, max_concurrency) {
        (Found::Nothing, _) => plan.condition_expression("attribute_not_exists(#updated_at)"),
        // Others may change the limit meanwhile: nothing here goes by it.
        (Found::Limit(_), None) => plan,
        (Found::Limit(None), Some(_)) => plan.condition_expression("attribute_not_exists(#max_concurrency)"),
        (Found::Limit(Some(limit)), Some(_)) => plan
            .condition_expression("#max_concurrency = :seen")
            .expression_attribute_values(":seen", n(limit)),
    })
}

fn stages_value(stages: &Stages) -> Result<Option<AttributeValue>, Corrupt> {
    let stages = stages.as_slice().iter();
    let rows: Vec<_> =
        stages.map(|stage| StageRow { name: stage.name.to_string(), weight: stage.weight }).collect();
    let value = (!rows.is_empty()).then(|| serde_dynamo::to_attribute_value(rows)).transpose();
    value.map_err(|error| Corrupt::new("settings of a type", error))
}

/// A change of a type's item, which answers the item as it then is.
fn of_type(tables: &Tables, owner: &Owner, kind: &TypeName) -> UpdateItemInputBuilder {
    UpdateItemInput::builder()
        .table_name(&tables.settings)
        .set_key(Some(type_key(owner, kind)))
        .return_values(ReturnValue::AllNew)
}

/// Pauses a type, from now on or still. A type without settings gets the default ones.
pub fn pause_type(tables: &Tables, owner: &Owner, kind: &TypeName, now: Timestamp) -> UpdateItemInputBuilder {
    let default = TypeSettings::default();
    of_type(tables, owner, kind)
        .update_expression(
            "SET paused_at = if_not_exists(paused_at, :now), updated_at = :now, \
             backoff_seconds = if_not_exists(backoff_seconds, :backoff), #mode = if_not_exists(#mode, :mode)",
        )
        .expression_attribute_names("#mode", "mode")
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":backoff", n(default.backoff_seconds))
        .expression_attribute_values(":mode", s(default.mode.as_str()))
}

/// Ends the pause of a type; refused: it is not paused.
pub fn resume_type(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    changing(of_type(tables, owner, kind), vec![("paused_at", None), ("updated_at", Some(n(now.millis())))])
        .condition_expression("attribute_exists(#paused_at)")
}

/// Reads so many types of an owner that have settings, in the order of their names, after one. No name has a character
/// as low as `!`.
pub fn types_after(tables: &Tables, owner: &Owner, after: Option<&str>, limit: i32) -> QueryInputBuilder {
    let after = after.map(|after| format!("{after}!")).unwrap_or_default();
    QueryInput::builder()
        .table_name(&tables.settings)
        .key_condition_expression("#kind = :kind AND #id BETWEEN :first AND :last")
        .expression_attribute_names("#kind", KIND)
        .expression_attribute_names("#id", ID)
        .expression_attribute_values(":kind", s(TYPES))
        .expression_attribute_values(":first", s(format!("{owner}#{after}")))
        .expression_attribute_values(":last", s(format!("{owner}$")))
        .limit(limit)
}

/// Notes that all jobs of a type that run have slots. `is_over`: no claim takes a job without one any more. Answers the
/// item as it then is; refused: others have noted it, or the limit is another one.
pub fn adopt_type(
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
    opens_at: Timestamp,
    is_over: bool,
) -> UpdateItemInputBuilder {
    let mut changed = vec![("adopted", Some(AttributeValue::Bool(true)))];
    changed.extend(is_over.then_some(("opens_at", None)));
    changing(of_type(tables, owner, kind), changed)
        .condition_expression("opens_at = :seen")
        .expression_attribute_values(":seen", n(opens_at.millis()))
}

/// Looks whether any job of a type waits, in a part of its queue.
pub fn any_waits(tables: &Tables, owner: &Owner, kind: &TypeName, shard: u16) -> QueryInputBuilder {
    any(tables, owner, kind, shard)
        .index_name(QUEUE_INDEX)
        .key_condition_expression("#owner = :owner AND #type = :type AND #shard = :shard")
}

/// Looks whether there is any job of a type, in a part of the index.
pub fn any_job(tables: &Tables, owner: &Owner, kind: &TypeName, shard: u16) -> QueryInputBuilder {
    any(tables, owner, kind, shard)
        .index_name(TYPE_INDEX)
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
