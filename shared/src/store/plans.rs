//! Requests as values. Sending is [`super::Store`]'s work, and writing heads is [`super::head_write`]'s.

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};

use super::schema::{BUCKET, EXPIRES_AT, HEAD, ID, JOB_ID, KEY, KIND, PART, SCOPE};
use super::value::{n, s};
use super::{AttributeMap, Corrupt, Tables};
use crate::domain::{Fingerprint, JobId, Timestamp};

/// How long an idempotency key is kept beside the job, in hours: as long as an ended job may be.
const KEY_TTL_HOURS: i64 = 168;

/// The key of a job's head.
pub(super) fn head_key(id: JobId) -> AttributeMap {
    job_key(id, HEAD)
}

fn job_key(id: JobId, part: &str) -> AttributeMap {
    AttributeMap::from([(JOB_ID.to_owned(), s(id)), (PART.to_owned(), s(part))])
}

/// Keeps an idempotency key of a request with an `external_id`, unless it is kept for another request.
pub fn keep_key(
    tables: &Tables,
    id: JobId,
    fingerprint: &Fingerprint,
    now: Timestamp,
) -> PutItemInputBuilder {
    let said = AttributeValue::B(fingerprint.bytes().to_vec().into());
    PutItemInput::builder()
        .table_name(&tables.jobs)
        .set_item(Some(job_key(id, KEY)))
        .item("said", said.clone())
        .item(EXPIRES_AT, n(now.plus_hours(KEY_TTL_HOURS).seconds_ceil()))
        .condition_expression("attribute_not_exists(job_id) OR said = :said")
        .expression_attribute_values(":said", said)
}

/// Keeps an idempotency key for the job that it gives its id to, unless it is kept for a request with an `external_id`.
///
/// Such a key is kept without what was said: the job's head tells the bodies of these requests apart.
pub fn keep_key_of_id(tables: &Tables, id: JobId, now: Timestamp) -> PutItemInputBuilder {
    PutItemInput::builder()
        .table_name(&tables.jobs)
        .set_item(Some(job_key(id, KEY)))
        .item(EXPIRES_AT, n(now.plus_hours(KEY_TTL_HOURS).seconds_ceil()))
        .condition_expression("attribute_not_exists(said)")
}

/// Writes a part of a job.
pub fn put_part(tables: &Tables, part: AttributeMap) -> PutItemInputBuilder {
    PutItemInput::builder().table_name(&tables.jobs).set_item(Some(part))
}

/// Removes a part of a job.
pub fn delete_part(tables: &Tables, id: JobId, part: &str) -> DeleteItemInputBuilder {
    DeleteItemInput::builder().table_name(&tables.jobs).set_key(Some(job_key(id, part)))
}

/// Reads a job, all its parts, as of now.
pub fn get_job(tables: &Tables, id: JobId) -> QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.jobs)
        .key_condition_expression("job_id = :id")
        .expression_attribute_values(":id", s(id))
        .consistent_read(true)
}

/// Reads a job's head, as of now or a moment ago.
pub fn get_head(tables: &Tables, id: JobId) -> GetItemInputBuilder {
    get_part(tables, id, HEAD)
}

/// Reads an item that lies beside the jobs and is of none.
pub(super) fn get_item(tables: &Tables, id: &str, part: &str) -> GetItemInputBuilder {
    GetItemInput::builder().table_name(&tables.jobs).key(JOB_ID, s(id)).key(PART, s(part))
}

/// Reads a part of a job, as of now or a moment ago.
pub fn get_part(tables: &Tables, id: JobId, part: &str) -> GetItemInputBuilder {
    GetItemInput::builder().table_name(&tables.jobs).set_key(Some(job_key(id, part)))
}

/// Reads the heads of up to 100 jobs, as of now or a moment ago.
pub fn get_heads(tables: &Tables, ids: &[JobId]) -> Result<BatchGetItemInputBuilder, Corrupt> {
    batch(tables, keys_of_heads(ids))
}

/// Reads the heads of up to 100 jobs as of now: one that was just created is found.
pub fn get_heads_now(tables: &Tables, ids: &[JobId]) -> Result<BatchGetItemInputBuilder, Corrupt> {
    batch(tables, keys_of_heads(ids).consistent_read(true))
}

fn keys_of_heads(ids: &[JobId]) -> KeysAndAttributesBuilder {
    let keys = ids.iter().map(|id| job_key(*id, HEAD)).collect();
    KeysAndAttributes::builder().set_keys(Some(keys))
}

fn batch(tables: &Tables, keys: KeysAndAttributesBuilder) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let keys = keys.build().map_err(|error| Corrupt::new("batch of heads", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.jobs, keys))
}

/// Reads an item of the tallies, as of a moment ago.
pub fn get_tally(tables: &Tables, scope: &str, bucket: &str) -> GetItemInputBuilder {
    GetItemInput::builder().table_name(&tables.tallies).key(SCOPE, s(scope)).key(BUCKET, s(bucket))
}

/// Reads one setting.
pub fn get_setting(tables: &Tables, kind: &str, id: &str) -> GetItemInputBuilder {
    GetItemInput::builder().table_name(&tables.settings).key(KIND, s(kind)).key(ID, s(id))
}

/// Writes one setting.
pub fn put_setting(tables: &Tables, kind: &str, id: &str, item: AttributeMap) -> PutItemInputBuilder {
    PutItemInput::builder()
        .table_name(&tables.settings)
        .set_item(Some(item))
        .item(KIND, s(kind))
        .item(ID, s(id))
}

pub mod queue;

#[cfg(test)]
mod tests;
