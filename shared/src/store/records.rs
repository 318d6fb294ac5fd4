//! Records: items of `records`, each under its owner, its kind and the caller's id.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use serde::Deserialize;
use uuid::Uuid;

use super::schema::RECORD;
use super::value::{n, s};
use super::{AttributeMap, Corrupt, Ledger, Tables};
use crate::domain::{JobId, Owner, Record, RecordId, RecordKind, RecordStatus, Timestamp};

/// The records of a ledger, as functions use them: what can be done with them stands beside the code that does it.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    pub(crate) ledger: &'a Ledger,
}

impl Ledger {
    /// The records.
    pub fn records(&self) -> Records<'_> {
        Records { ledger: self }
    }
}

#[derive(Debug, Deserialize)]
struct Row {
    owner: String,
    kind: String,
    id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    job_id: Option<JobId>,
    created_at: i64,
    updated_at: i64,
}

/// The key of a record's item. Owner and kind hold no `#`, so no two records have the same.
fn record_key(owner: &Owner, kind: &RecordKind, id: &RecordId) -> String {
    format!("{owner}#{kind}#{id}")
}

/// Puts a record in the place of the one that is there, which only keeps when it was made. Answers the item as it then is.
pub fn put_record(tables: &Tables, record: &Record, call: Uuid) -> UpdateItemInputBuilder {
    let mut sets = vec![
        "#owner = :owner, #kind = :kind, #id = :id, updated_at = :now",
        "created_at = if_not_exists(created_at, :created), made_by = if_not_exists(made_by, :call)",
    ];
    let mut removes = Vec::new();
    let mut plan = UpdateItemInput::builder()
        .table_name(&tables.records)
        .key(RECORD, s(record_key(&record.owner, &record.kind, &record.id)))
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_names("#kind", "kind")
        .expression_attribute_names("#id", "id")
        .expression_attribute_names("#status", "status")
        .expression_attribute_values(":owner", s(&record.owner))
        .expression_attribute_values(":kind", s(&record.kind))
        .expression_attribute_values(":id", s(&record.id))
        .expression_attribute_values(":created", n(record.created_at.millis()))
        .expression_attribute_values(":now", n(record.updated_at.millis()))
        .expression_attribute_values(":call", s(call))
        .return_values(ReturnValue::AllNew);
    match &record.status {
        Some(status) => {
            sets.push("#status = :status");
            plan = plan.expression_attribute_values(":status", s(status));
        }
        None => removes.push("#status"),
    }
    match &record.job_id {
        Some(job_id) => {
            sets.push("job_id = :job_id");
            plan = plan.expression_attribute_values(":job_id", s(job_id));
        }
        None => removes.push("job_id"),
    }
    let mut expression = format!("SET {}", sets.join(", "));
    if !removes.is_empty() {
        expression = format!("{expression} REMOVE {}", removes.join(", "));
    }
    plan.update_expression(expression)
}

/// Reads a record as of now.
pub fn get_record(tables: &Tables, owner: &Owner, kind: &RecordKind, id: &RecordId) -> GetItemInputBuilder {
    GetItemInput::builder()
        .table_name(&tables.records)
        .key(RECORD, s(record_key(owner, kind, id)))
        .consistent_read(true)
}

/// Removes a record; refused where there is none.
pub fn delete_record(
    tables: &Tables,
    owner: &Owner,
    kind: &RecordKind,
    id: &RecordId,
) -> DeleteItemInputBuilder {
    DeleteItemInput::builder()
        .table_name(&tables.records)
        .key(RECORD, s(record_key(owner, kind, id)))
        .condition_expression("attribute_exists(#record)")
        .expression_attribute_names("#record", RECORD)
}

/// Reads a record from its item.
pub fn record_of_item(item: AttributeMap) -> Result<Record, Corrupt> {
    let row: Row =
        serde_dynamo::from_item(item).map_err(|error: serde_dynamo::Error| Corrupt::new("record", error))?;
    let corrupt = |problem| Corrupt::new(format!("record of {} and kind {}", row.owner, row.kind), problem);
    let read = || {
        Ok(Record {
            owner: Owner::try_from(row.owner.as_str())?,
            kind: RecordKind::try_from(row.kind.as_str())?,
            id: RecordId::try_from(row.id.as_str())?,
            status: row.status.as_deref().map(RecordStatus::try_from).transpose()?,
            job_id: row.job_id,
            created_at: Timestamp::from_millis(row.created_at),
            updated_at: Timestamp::from_millis(row.updated_at),
        })
    };
    read().map_err(|invalid: crate::domain::Invalid| corrupt(invalid))
}

/// Whether this call made the record that an item holds: also where its write was sent again, as no answer had come.
pub fn is_made_by(item: &AttributeMap, call: Uuid) -> bool {
    let by = item.get("made_by").and_then(|by| by.as_s().ok());
    by.is_some_and(|by| *by == call.to_string())
}
