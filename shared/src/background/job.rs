//! What a task writes to its job. Each write is refused where the job no longer runs, or is another one of the same id.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Task;
use crate::domain::{Progress, Status, Timestamp};
use crate::store::schema::PROGRESS;
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Tables, output_part, plans, progress_value};

/// Shows how far it is. No index has this, so it touches none.
pub(super) fn show(
    tables: &Tables,
    task: &Task,
    progress: &Progress,
) -> Result<UpdateItemInputBuilder, Corrupt> {
    Ok(running(tables, task)
        .update_expression("SET #progress = :progress")
        .expression_attribute_names("#progress", PROGRESS)
        .expression_attribute_values(":progress", progress_value(progress)?))
}

/// Completes the job; its output of so many bytes is written before.
pub(super) fn complete(
    tables: &Tables,
    task: &Task,
    output_bytes: u64,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    ended(tables, task, Status::Completed, now)
        .update_expression(
            "SET #status = :next, completed_at = :now, updated_at = :now, \
             expires_at = ttl_seconds + :now_seconds, #output = :output, \
             #bytes = if_not_exists(#bytes, :none) + :bytes REMOVE phase, #progress",
        )
        .expression_attribute_names("#progress", PROGRESS)
        .expression_attribute_names("#output", "output")
        .expression_attribute_names("#bytes", "bytes")
        .expression_attribute_values(":none", n(0))
        .expression_attribute_values(":bytes", n(output_bytes))
        .expression_attribute_values(":output", s(task.written_by))
}

/// Gives the job up, and says why.
pub(super) fn fail(tables: &Tables, task: &Task, message: &str, now: Timestamp) -> UpdateItemInputBuilder {
    let error = HashMap::from([("message".to_owned(), s(message))]);
    ended(tables, task, Status::Failed, now)
        .update_expression(
            "SET #status = :next, completed_at = :now, updated_at = :now, \
             expires_at = ttl_seconds + :now_seconds, #error = :error REMOVE phase",
        )
        .expression_attribute_names("#error", "error")
        .expression_attribute_values(":error", AttributeValue::M(error))
}

/// The name of the part that keeps what the job gave: the same each time, so that doing it again leaves nothing behind.
pub(super) fn part(task: &Task) -> String {
    output_part(task.written_by)
}

/// Whether a head names that part as its own.
pub(super) fn names_output(head: &AttributeMap, task: &Task) -> bool {
    head.get("output") == Some(&s(task.written_by))
}

fn ended(tables: &Tables, task: &Task, next: Status, now: Timestamp) -> UpdateItemInputBuilder {
    running(tables, task)
        .expression_attribute_values(":next", s(next))
        .expression_attribute_values(":now", n(now.millis()))
        .expression_attribute_values(":now_seconds", n(now.seconds_ceil()))
}

fn running(tables: &Tables, task: &Task) -> UpdateItemInputBuilder {
    let plan = plans::transition(tables, &task.owner, task.id, &[Status::Running]);
    plans::and(plan, "written_by = :written_by")
        .expression_attribute_values(":written_by", s(task.written_by))
}
