//! A task as an item of `tasks`, and every write to it.
//!
//! The invocation that works on it holds the **claim**: every write says on the condition of which claim it is made.
//! `waits` is there while no invocation works on it: only then does the stream call, so that the many writes of a task
//! that is worked on call nobody.

use aws_sdk_dynamodb::operation::delete_item::DeleteItemInput;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::AskedBy;
use crate::domain::{Head, JobId, Owner, Timestamp};
use crate::store::schema::{EXPIRES_AT, TASK_ID};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Corrupt, Tables};

/// How long a claim holds without a sign of life, in milliseconds: longer than a part takes on a bad day.
pub(super) const LEASE_MS: i64 = 60_000;
/// How long a task is kept that nobody gets on with, in hours: long enough for people to look into it.
const TTL_HOURS: i64 = 168;

/// A piece of work under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The job that shows it.
    pub id: JobId,
    /// The kind of work.
    pub kind: String,
    /// Whose job it is.
    pub owner: Owner,
    /// The key or schedule that asked for it: for the log.
    pub by: AskedBy,
    /// When the job was created.
    pub created_at: Timestamp,
    /// Which call created the job; another one under the same id is not this task's.
    pub written_by: Uuid,
    /// Its state, as JSON that its kind reads.
    pub(super) state: String,
    /// How many invocations have begun with this state.
    pub(super) tries: u32,
    pub(super) claim: Option<Claim>,
}

/// The invocation that works on it, and until when that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) token: Uuid,
    pub(super) until: Timestamp,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    task_id: String,
    kind: String,
    owner: String,
    key_id: String,
    created_at: i64,
    written_by: Uuid,
    state: String,
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lease_until: Option<i64>,
    /// The template's filter looks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waits: Option<bool>,
    expires_at: i64,
}

/// The holder of the task after its state was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The present holder goes on.
    Kept,
    /// Nobody: the stream calls for it.
    PutBack,
}

impl Task {
    /// The task that is begun with this job.
    pub(super) fn begun(head: &Head, kind: &str, by: &AskedBy, state: String) -> Self {
        Self {
            id: head.job.id,
            kind: kind.to_owned(),
            owner: head.job.owner.clone(),
            by: by.clone(),
            created_at: head.job.created_at,
            written_by: head.written_by,
            state,
            tries: 0,
            claim: None,
        }
    }

    /// The item that stores it.
    pub(super) fn item(&self) -> Result<AttributeMap, Corrupt> {
        let row = Row {
            task_id: self.id.to_string(),
            kind: self.kind.clone(),
            owner: self.owner.to_string(),
            key_id: self.by.as_str().to_owned(),
            created_at: self.created_at.millis(),
            written_by: self.written_by,
            state: self.state.clone(),
            tries: self.tries,
            claim: self.claim.map(|claim| claim.token),
            lease_until: self.claim.map(|claim| claim.until.millis()),
            waits: self.claim.is_none().then_some(true),
            expires_at: expires_at(self.created_at),
        };
        serde_dynamo::to_item(row).map_err(|error| Corrupt::new(format!("task {}", self.id), error))
    }

    /// The task that an item stores.
    pub(super) fn of_item(id: JobId, item: AttributeMap) -> Result<Self, Corrupt> {
        let corrupt = |error: &dyn ToString| Corrupt::new(format!("task {id}"), error.to_string());
        let row: Row = serde_dynamo::from_item(item).map_err(|error| corrupt(&error))?;
        let claim = row.claim.zip(row.lease_until);
        Ok(Self {
            id,
            kind: row.kind,
            owner: Owner::try_from(row.owner).map_err(|error| corrupt(&error))?,
            by: AskedBy::try_from(row.key_id.as_str()).map_err(|error| corrupt(&error))?,
            created_at: Timestamp::from_millis(row.created_at),
            written_by: row.written_by,
            state: row.state,
            tries: row.tries,
            claim: claim.map(|(token, until)| Claim { token, until: Timestamp::from_millis(until) }),
        })
    }
}

fn expires_at(now: Timestamp) -> i64 {
    now.plus_hours(TTL_HOURS).seconds_ceil()
}

/// Reads a task as of now.
pub(super) fn read(tables: &Tables, id: JobId) -> GetItemInputBuilder {
    GetItemInput::builder().table_name(&tables.tasks).key(TASK_ID, s(id)).consistent_read(true)
}

/// Takes a task for oneself, if nothing has moved since it was read; answers the task as it then is.
pub(super) fn claim(tables: &Tables, seen: &Task, token: Uuid, now: Timestamp) -> UpdateItemInputBuilder {
    let plan = update(tables, seen.id)
        .update_expression("SET #claim = :claim, lease_until = :until, tries = :tries REMOVE waits")
        .expression_attribute_values(":claim", s(token))
        .expression_attribute_values(":until", n(now.plus_millis(LEASE_MS).millis()))
        .expression_attribute_values(":tries", n(seen.tries.saturating_add(1)))
        .expression_attribute_values(":seen_tries", n(seen.tries))
        .return_values(ReturnValue::AllNew);
    match seen.claim {
        None => plan.condition_expression("tries = :seen_tries AND attribute_not_exists(#claim)"),
        Some(seen) => plan
            .condition_expression("tries = :seen_tries AND #claim = :seen AND lease_until = :seen_until")
            .expression_attribute_values(":seen", s(seen.token))
            .expression_attribute_values(":seen_until", n(seen.until.millis())),
    }
}

/// Writes down how far it is.
pub(super) fn advance(
    tables: &Tables,
    id: JobId,
    token: Uuid,
    state: &str,
    turn: Turn,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    let plan = update(tables, id)
        .condition_expression("#claim = :claim")
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":claim", s(token))
        .expression_attribute_values(":state", s(state))
        .expression_attribute_values(format!(":{EXPIRES_AT}"), n(expires_at(now)));
    match turn {
        // The writer begins with it at once.
        Turn::Kept => plan
            .update_expression(
                "SET #state = :state, expires_at = :expires_at, tries = :tries, lease_until = :until",
            )
            .expression_attribute_values(":tries", n(1))
            .expression_attribute_values(":until", n(now.plus_millis(LEASE_MS).millis())),
        Turn::PutBack => plan
            .update_expression(
                "SET #state = :state, expires_at = :expires_at, tries = :tries, waits = :waits \
                 REMOVE #claim, lease_until",
            )
            .expression_attribute_values(":tries", n(0))
            .expression_attribute_values(":waits", AttributeValue::Bool(true)),
    }
}

/// Removes a task that is over.
pub(super) fn remove(tables: &Tables, id: JobId, token: Uuid) -> DeleteItemInputBuilder {
    DeleteItemInput::builder()
        .table_name(&tables.tasks)
        .key(TASK_ID, s(id))
        .condition_expression("#claim = :claim")
        .expression_attribute_names("#claim", "claim")
        .expression_attribute_values(":claim", s(token))
}

fn update(tables: &Tables, id: JobId) -> UpdateItemInputBuilder {
    UpdateItemInput::builder()
        .table_name(&tables.tasks)
        .key(TASK_ID, s(id))
        .expression_attribute_names("#claim", "claim")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::KeyId;

    fn task(claim: Option<Claim>) -> Task {
        let by = AskedBy::Key(KeyId::try_from("0123456789abcdef").unwrap());
        Task {
            id: JobId::from(Uuid::from_u128(7)),
            kind: "bulk".to_owned(),
            owner: Owner::try_from("ann").unwrap(),
            by,
            created_at: Timestamp::from_millis(1_768_107_600_000),
            written_by: Uuid::from_u128(8),
            state: "{}".to_owned(),
            tries: 2,
            claim,
        }
    }

    #[test]
    fn a_task_comes_back_as_it_went_and_waits_while_nobody_has_it() {
        let claim = Claim { token: Uuid::from_u128(9), until: Timestamp::from_millis(5) };
        for (claim, by) in [(None, None), (Some(claim), None), (None, Some(AskedBy::Schedule))] {
            let task = task(claim);
            let task = Task { by: by.unwrap_or(task.by.clone()), ..task };
            let item = task.item().unwrap();
            assert_eq!(item.get("waits"), claim.is_none().then_some(&AttributeValue::Bool(true)));
            assert_eq!(Task::of_item(task.id, item), Ok(task));
        }
        assert!(Task::of_item(task(None).id, AttributeMap::new()).is_err());
    }

    #[test]
    fn a_claim_is_taken_only_from_what_was_read() {
        let tables = Tables { tasks: "t".into(), ..Tables::default() };
        let (token, now) = (Uuid::from_u128(1), Timestamp::from_millis(1_000));
        let plan = claim(&tables, &task(None), token, now);
        assert_eq!(
            plan.get_condition_expression().as_deref(),
            Some("tries = :seen_tries AND attribute_not_exists(#claim)")
        );
        let values = plan.get_expression_attribute_values().clone().unwrap();
        assert_eq!((&values[":until"], &values[":tries"]), (&n(61_000), &n(3)));
        let seen = Claim { token: Uuid::from_u128(9), until: Timestamp::from_millis(5) };
        let plan = claim(&tables, &task(Some(seen)), token, now);
        let values = plan.get_expression_attribute_values().clone().unwrap();
        assert_eq!((&values[":seen"], &values[":seen_until"]), (&s(seen.token), &n(5)));
    }
}
