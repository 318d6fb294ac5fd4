//! Earlier tries of a job, each a part of it: the head tells the last two at most, so that it stays small.
//!
//! A part says in `created` which life of the job it is of: one that was removed, and created again under the same id,
//! begins without tries.

use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use serde::{Deserialize, Serialize};

use super::item::{ErrorRow, text};
use super::schema::{CREATED, PART, TRY};
use super::value::s;
use super::{AttributeMap, Corrupt, Tables, decode_part, encode_part, plans};
use crate::domain::{Job, JobId, Timestamp, Try, WorkerId, created_key};

/// Most earlier tries that are kept of a job; then the first ones go.
pub const MAX_KEPT_TRIES: u32 = 100;

/// A try as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    /// Milliseconds, as all times but `expires_at` are.
    started_at: i64,
    ended_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRow>,
}

/// The name of the part that holds the try of this number.
pub fn try_part(number: u32) -> String {
    format!("{TRY}{number:04}")
}

/// The part that keeps a try of this job.
pub fn encode_try(job: &Job, tried: &Try) -> Result<AttributeMap, Corrupt> {
    let Try { number, worker, started_at, ended_at, error } = tried;
    let row = Row {
        number: *number,
        worker: worker.as_ref().map(ToString::to_string),
        started_at: started_at.millis(),
        ended_at: ended_at.millis(),
        error: error.as_ref().map(ErrorRow::from),
    };
    let part = try_part(*number);
    let json = serde_json::to_vec(&row).map_err(|error| Corrupt::new(&part, error))?;
    let mut item = encode_part(job.id, &part, json);
    item.insert(CREATED.to_owned(), s(created_key(job.created_at, job.id)));
    Ok(item)
}

/// The try that a part keeps of this job; `None`: it is another part, or of an earlier life.
pub fn decode_try(job: &Job, item: &AttributeMap) -> Result<Option<Try>, Corrupt> {
    let is = |name: &str, holds: &dyn Fn(&str) -> bool| {
        item.get(name).and_then(|value| value.as_s().ok()).is_some_and(|value| holds(value))
    };
    let created = created_key(job.created_at, job.id);
    if !is(PART, &|part| part.starts_with(TRY)) || !is(CREATED, &|of| of == created) {
        return Ok(None);
    }
    let Row { number, worker, started_at, ended_at, error } = decode_part(item)?;
    let corrupt = |problem: String| Corrupt::new(format!("{} {}", job.id, try_part(number)), problem);
    Ok(Some(Try {
        number,
        worker: worker.map(WorkerId::try_from).transpose().map_err(|error| corrupt(text(error)))?,
        started_at: Timestamp::from_millis(started_at),
        ended_at: Timestamp::from_millis(ended_at),
        error: error.map(ErrorRow::error).transpose().map_err(corrupt)?,
    }))
}

/// Finds the names of the parts that hold tries of a job, of whichever life.
pub fn find_tries(tables: &Tables, id: JobId) -> QueryInputBuilder {
    QueryInput::builder()
        .table_name(&tables.jobs)
        .key_condition_expression("job_id = :id AND begins_with(part, :try)")
        .projection_expression("part")
        .expression_attribute_values(":id", s(id))
        .expression_attribute_values(":try", s(TRY))
        .consistent_read(true)
}

/// Removes a part that holds a try, if it is of this life of the job.
pub fn delete_try(tables: &Tables, job: &Job, part: &str) -> DeleteItemInputBuilder {
    plans::delete_part(tables, job.id, part)
        .condition_expression("attribute_not_exists(created) OR created = :created")
        .expression_attribute_values(":created", s(created_key(job.created_at, job.id)))
}
