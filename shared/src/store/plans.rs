//! Requests as values: what is sent, for whom, under which condition. Sending is [`super::Store`]'s work.
//!
//! A guard is a condition on the write, not a read before it, and asks for the item that made it fail.

use std::collections::HashMap;

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
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use serde::{Deserialize, Serialize};

use super::item::queue_key;
use super::schema::{
    CHANGED_BY, CREATED, EXPIRES_AT, HEAD, ID, JOB_ID, KEY, KIND, LEASE_UNTIL, OUTPUT_NAME, PART, PROGRESS,
    QUEUE, SLOT,
};
use super::value::{n, s};
use super::{AttributeMap, Corrupt, Tables, head_row};
use crate::domain::{BulkAction, Fingerprint, Head, Job, JobId, Owner, Status, Timestamp};

const OLD_ITEM: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// How long an idempotency key of a job that got its id elsewhere is kept, in hours: as long as a job may be.
const KEY_TTL_HOURS: i64 = 168;

/// [`Seen`] as it is stored: an array.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SeenRow {
    Whole(JobId, u8, u32, u32, bool),
    /// From before tries were kept. A retry by it is refused where there was one, and the job read anew.
    Short(JobId, u8, u32, u32),
}

/// What a retry needs of the job as it was read. Stored as an array of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SeenRow", into = "SeenRow")]
pub struct Seen {
    /// The job.
    pub id: JobId,
    /// Its priority.
    pub priority: u8,
    /// How many tries had begun.
    pub attempt: u32,
    /// How many it might have.
    pub max_attempts: u32,
    /// Whether a try of it ended that is not kept as an earlier one yet.
    pub was_tried: bool,
}

impl From<SeenRow> for Seen {
    fn from(row: SeenRow) -> Self {
        let (id, priority, attempt, max_attempts, was_tried) = match row {
            SeenRow::Whole(id, priority, attempt, max, was_tried) => (id, priority, attempt, max, was_tried),
            SeenRow::Short(id, priority, attempt, max) => (id, priority, attempt, max, false),
        };
        Self { id, priority, attempt, max_attempts, was_tried }
    }
}

impl From<Seen> for SeenRow {
    fn from(Seen { id, priority, attempt, max_attempts, was_tried }: Seen) -> Self {
        Self::Whole(id, priority, attempt, max_attempts, was_tried)
    }
}

impl From<&Job> for Seen {
    fn from(job: &Job) -> Self {
        let Job { id, priority, attempt, max_attempts, .. } = *job;
        let was_tried = job.state.ended().is_some_and(|ended| ended.started_at.is_some());
        Self { id, priority, attempt, max_attempts, was_tried }
    }
}

fn job_key(id: JobId, part: &str) -> AttributeMap {
    AttributeMap::from([(JOB_ID.to_owned(), s(id)), (PART.to_owned(), s(part))])
}

/// Creates a job, unless its id is taken.
pub fn create_head(tables: &Tables, head: &Head) -> Result<PutItemInputBuilder, Corrupt> {
    Ok(PutItemInput::builder()
        .table_name(&tables.jobs)
        .set_item(Some(head_row(head)?))
        .condition_expression("attribute_not_exists(job_id)")
        .return_values_on_condition_check_failure(OLD_ITEM))
}

/// What tells whether a head has changed: every step and edit changes one of these, and every report a lease's end or, at
/// the latest end that it may have, only the progress.
const CHANGING: [&str; 8] =
    ["status", "updated_at", "fingerprint", "attempt", LEASE_UNTIL, SLOT, OUTPUT_NAME, PROGRESS];

/// Puts a head in the place of another, unless that changed since it was read. Where the job holds a slot and
/// stops running, this is one half of a transaction ([`crate::queue`]).
pub fn replace_head(tables: &Tables, head: &Head, seen: &Head) -> Result<PutItemInputBuilder, Corrupt> {
    let seen_row = head_row(seen)?;
    let mut plan = PutItemInput::builder().table_name(&tables.jobs).set_item(Some(head_row(head)?));
    let mut conditions = Vec::with_capacity(CHANGING.len());
    for name in CHANGING {
        plan = plan.expression_attribute_names(format!("#{name}"), name);
        conditions.push(match seen_row.get(name) {
            Some(value) => {
                plan = plan.expression_attribute_values(format!(":{name}"), value.clone());
                format!("#{name} = :{name}")
            }
            // A head that is gone has none of them either: the first, which every head has, tells that.
            None => format!("attribute_not_exists(#{name})"),
        });
    }
    Ok(plan.condition_expression(conditions.join(" AND ")).return_values_on_condition_check_failure(OLD_ITEM))
}

/// Keeps an idempotency key, unless it is kept for another request.
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

/// Reads how far up to 100 jobs are, as of now or a moment ago.
pub fn get_progress(tables: &Tables, ids: &[JobId]) -> Result<BatchGetItemInputBuilder, Corrupt> {
    batch(tables, keys_of_heads(ids).projection_expression(format!("{JOB_ID}, {PROGRESS}")))
}

fn keys_of_heads(ids: &[JobId]) -> KeysAndAttributesBuilder {
    let keys = ids.iter().map(|id| job_key(*id, HEAD)).collect();
    KeysAndAttributes::builder().set_keys(Some(keys))
}

fn batch(tables: &Tables, keys: KeysAndAttributesBuilder) -> Result<BatchGetItemInputBuilder, Corrupt> {
    let keys = keys.build().map_err(|error| Corrupt::new("batch of heads", error))?;
    Ok(BatchGetItemInput::builder().request_items(&tables.jobs, keys))
}

/// Calls a job off, if the status table allows it; answers the head as it then is.
pub fn cancel(tables: &Tables, owner: &Owner, id: JobId, now: Timestamp) -> UpdateItemInputBuilder {
    let sources: Vec<_> = Status::Cancelled.sources().collect();
    cancel_in(tables, owner, id, now, &sources)
}

/// The same for a job in one of these statuses only.
pub fn cancel_in(
    tables: &Tables,
    owner: &Owner,
    id: JobId,
    now: Timestamp,
    sources: &[Status],
) -> UpdateItemInputBuilder {
    transition(tables, owner, id, sources)
        .update_expression(
            "SET #status = :next, completed_at = :now, updated_at = :now, expires_at = ttl_seconds + :now_seconds \
             REMOVE queue, available_at, phase, lease_until",
        )
        .expression_attribute_values(":next", s(Status::Cancelled))
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":now_seconds", n(now.seconds_ceil()))
        .return_values(ReturnValue::AllNew)
}

/// Queues a job again that failed or was cancelled, with one more try at least.
///
/// Its place in the queue comes from its priority, and its tries from the attempts that began: both must still be what
/// was read (`seen`). Whoever is refused while the job still stands in one of the sources reads anew and tries again.
pub fn retry_in(
    tables: &Tables,
    owner: &Owner,
    seen: Seen,
    now: Timestamp,
    sources: &[Status],
) -> UpdateItemInputBuilder {
    let plan = transition(tables, owner, seen.id, sources);
    let max_attempts = seen.max_attempts.max(seen.attempt.saturating_add(1));
    // What is not there is left out by the next reader: an expression can only copy something.
    let (tried, plan) = if seen.was_tried {
        let keep = ", last_try = attempt, last_started = started_at, last_ended = completed_at, \
                    last_worker = if_not_exists(worker,:nothing), last_error = if_not_exists(#error,:nothing)";
        (keep, plan.expression_attribute_values(":nothing", AttributeValue::Null(true)))
    } else {
        ("", plan)
    };
    let is_tried = if seen.was_tried { "attribute_exists" } else { "attribute_not_exists" };
    let still = format!(
        "priority = :priority AND attempt = :attempt AND max_attempts = :seen_max AND {is_tried}(started_at)"
    );
    and(plan, &still)
        .update_expression(format!(
            "SET #status = :next, available_at = :now, updated_at = :now, #queue = :queue, \
         max_attempts = :max_attempts{tried} \
         REMOVE #error, started_at, completed_at, expires_at, phase, #progress, worker, lease_token"
        ))
        .expression_attribute_names("#queue", QUEUE)
        .expression_attribute_names("#error", "error")
        .expression_attribute_names("#progress", PROGRESS)
        .expression_attribute_values(":next", s(Status::Queued))
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":queue", s(queue_key(seen.priority, now, seen.id)))
        .expression_attribute_values(":priority", n(seen.priority))
        .expression_attribute_values(":attempt", n(seen.attempt))
        .expression_attribute_values(":seen_max", n(seen.max_attempts))
        .expression_attribute_values(":max_attempts", n(max_attempts))
        .return_values(ReturnValue::AllNew)
}

/// [`retry_in`] from every status that a retry leads from.
pub fn retry(tables: &Tables, owner: &Owner, seen: Seen, now: Timestamp) -> UpdateItemInputBuilder {
    let sources: Vec<_> = BulkAction::Retry.sources().into_iter().collect();
    retry_in(tables, owner, seen, now, &sources)
}

/// A transition by a bulk job: of jobs that are older than it, and of each once, which it notes on the job.
pub fn by_bulk(plan: UpdateItemInputBuilder, bulk: JobId, created_at: Timestamp) -> UpdateItemInputBuilder {
    let update = plan.get_update_expression().clone().unwrap_or_default();
    let rest = update.strip_prefix("SET ").unwrap_or(&update);
    let once = "#created < :before AND (attribute_not_exists(#changed_by) OR #changed_by <> :changed_by)";
    and(plan, once)
        .update_expression(format!("SET #changed_by = :changed_by, {rest}"))
        .expression_attribute_names("#created", CREATED)
        .expression_attribute_names("#changed_by", CHANGED_BY)
        .expression_attribute_values(":before", s(created_at))
        .expression_attribute_values(":changed_by", s(bulk))
}

/// A removal by a bulk job: of jobs that are older than it.
pub fn older_than(plan: DeleteItemInputBuilder, created_at: Timestamp) -> DeleteItemInputBuilder {
    let condition = plan.get_condition_expression().clone().unwrap_or_default();
    plan.condition_expression(format!("{condition} AND #created < :before"))
        .expression_attribute_names("#created", CREATED)
        .expression_attribute_values(":before", s(created_at))
}

/// The same update on one more condition.
pub(crate) fn and(plan: UpdateItemInputBuilder, condition: &str) -> UpdateItemInputBuilder {
    let before = plan.get_condition_expression().clone().unwrap_or_default();
    plan.condition_expression(format!("{before} AND {condition}"))
}

/// An update of an owner's job that only these statuses allow.
pub(crate) fn transition(
    tables: &Tables,
    owner: &Owner,
    id: JobId,
    sources: &[Status],
) -> UpdateItemInputBuilder {
    let (condition, values) = owned_in(owner, sources);
    UpdateItemInput::builder()
        .table_name(&tables.jobs)
        .set_key(Some(job_key(id, HEAD)))
        .condition_expression(condition)
        .expression_attribute_names("#status", "status")
        .expression_attribute_names("#owner", "owner")
        .set_expression_attribute_values(Some(values))
        .return_values_on_condition_check_failure(OLD_ITEM)
}

/// Removes an owner's job that has ended; its other parts follow by the stream.
pub fn delete_ended(tables: &Tables, owner: &Owner, id: JobId) -> DeleteItemInputBuilder {
    let ended: Vec<_> = Status::ALL.into_iter().filter(|status| status.is_ended()).collect();
    delete_in(tables, owner, id, &ended)
}

/// The same for a job in one of these statuses only.
pub fn delete_in(tables: &Tables, owner: &Owner, id: JobId, sources: &[Status]) -> DeleteItemInputBuilder {
    let (condition, values) = owned_in(owner, sources);
    DeleteItemInput::builder()
        .table_name(&tables.jobs)
        .set_key(Some(job_key(id, HEAD)))
        .condition_expression(condition)
        .expression_attribute_names("#status", "status")
        .expression_attribute_names("#owner", "owner")
        .set_expression_attribute_values(Some(values))
        .return_values_on_condition_check_failure(OLD_ITEM)
}

/// The condition that a job is this owner's and in one of these statuses.
fn owned_in(owner: &Owner, statuses: &[Status]) -> (String, HashMap<String, AttributeValue>) {
    let mut values = HashMap::from([(":owner".to_owned(), s(owner))]);
    let names: Vec<_> = statuses.iter().map(|status| format!(":{status}")).collect();
    for (name, status) in names.iter().zip(statuses) {
        values.insert(name.clone(), s(status));
    }
    (format!("#owner = :owner AND #status IN ({})", names.join(", ")), values)
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
