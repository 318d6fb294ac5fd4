//! The queue: reads of it, and the slots of its types.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select, TransactWriteItem, Update};

use crate::domain::{Job, Owner, State, Timestamp, TypeName};
use crate::store::Tables;
use crate::store::head_write::HeadWrite;
use crate::store::item::{LATER, queue_key_of};
use crate::store::ranges::before;
use crate::store::schema::{ID, KIND, QUEUE, QUEUE_INDEX, TYPES};
use crate::store::type_item::type_id;
use crate::store::value::{n, s};

/// One part of an owner's queue of a type.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    /// Whose.
    pub owner: &'a Owner,
    /// Of what.
    pub kind: &'a TypeName,
    /// Which part.
    pub shard: u16,
}

impl Queue<'_> {
    fn between(self, tables: &Tables, lower: &str, upper: &str, limit: i32) -> QueryInputBuilder {
        QueryInput::builder()
            .table_name(&tables.jobs)
            .index_name(QUEUE_INDEX)
            .key_condition_expression(
                "#owner = :owner AND #type = :type AND #shard = :shard AND #queue BETWEEN :lower AND :upper",
            )
            .expression_attribute_names("#owner", "owner")
            .expression_attribute_names("#type", "type")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_names("#queue", QUEUE)
            .expression_attribute_values(":owner", s(self.owner))
            .expression_attribute_values(":type", s(self.kind))
            .expression_attribute_values(":shard", n(self.shard))
            .expression_attribute_values(":lower", s(lower))
            .expression_attribute_values(":upper", s(upper))
            .limit(limit)
    }

    /// Reads the first that may go: those whose turn the key tells, then those that have become due since.
    pub fn first(self, tables: &Tables, now: Timestamp, limit: i32) -> QueryInputBuilder {
        self.between(tables, "0", &due_until(now), limit)
    }

    /// Reads those that have become due since their key was written, the first due first.
    pub fn due(self, tables: &Tables, now: Timestamp, limit: i32) -> QueryInputBuilder {
        self.between(tables, LATER, &due_until(now), limit)
    }

    /// Counts those that may go, up to a limit.
    pub fn count_due(self, tables: &Tables, now: Timestamp, limit: i32) -> QueryInputBuilder {
        self.first(tables, now, limit).select(Select::Count)
    }

    /// Reads how often those were tried that are due after one time, up to another, the first due first.
    pub fn due_between(
        self,
        tables: &Tables,
        after: Timestamp,
        to: Timestamp,
        limit: i32,
    ) -> QueryInputBuilder {
        self.between(tables, &due_until(after), &due_until(to), limit).projection_expression("attempt")
    }

    /// Reads where the first one stands that may go, of those whose sort key is this one or greater.
    pub fn first_from(self, tables: &Tables, lower: &str, now: Timestamp) -> QueryInputBuilder {
        self.between(tables, lower, &due_until(now), 1).projection_expression("#queue")
    }
}

/// Counts the jobs that go before this one in a part of its queue, up to `limit` each: those whose keys tell it, and those
/// that became due since their keys were written. Empty: the job does not wait.
pub fn count_ahead(
    tables: &Tables,
    job: &Job,
    shard: u16,
    now: Timestamp,
    limit: i32,
) -> Vec<QueryInputBuilder> {
    let (State::Queued { available_at }, Some(key)) = (&job.state, queue_key_of(job)) else {
        return Vec::new();
    };
    let queue = Queue { owner: &job.owner, kind: &job.kind, shard };
    let mut plans = vec![queue.between(tables, "0", &before(&key), limit)];
    if !key.starts_with(LATER) {
        let goes_first = "priority > :priority OR (priority = :priority AND available_at <= :available_at)";
        let late = queue.due(tables, now, limit).filter_expression(goes_first);
        let late = late.expression_attribute_values(":priority", n(job.priority));
        plans.push(late.expression_attribute_values(":available_at", n(available_at.millis())));
    }
    plans.into_iter().map(|plan| plan.select(Select::Count)).collect()
}

/// The greatest sort key of who is due: `$` follows the `#` that comes before the id.
fn due_until(now: Timestamp) -> String {
    format!("{LATER}{now}$")
}

/// The change that a step makes to the slots of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Takes one, if one is free.
    Take,
    /// Gives one back.
    Release,
    /// Takes one, free or not: the job runs already.
    Adopt,
}

/// A step and what it does to the slots of its type, both or neither. The first of the two is the job's.
pub(crate) fn with_slot(
    tables: &Tables,
    write: &HeadWrite,
    owner: &Owner,
    kind: &TypeName,
    slot: Slot,
) -> Result<TransactWriteItemsInputBuilder, BuildError> {
    let slots = Update::builder()
        .table_name(&tables.settings)
        .key(KIND, s(TYPES))
        .key(ID, s(type_id(owner, kind)))
        .update_expression("ADD running :by")
        .expression_attribute_values(":by", n(if slot == Slot::Release { -1 } else { 1 }));
    let slots = match slot {
        Slot::Take => slots
            .condition_expression(
                "attribute_exists(max_concurrency) AND attribute_not_exists(paused_at) \
             AND (attribute_not_exists(opens_at) OR adopted = :adopted) \
             AND (attribute_not_exists(running) OR running < max_concurrency)",
            )
            .expression_attribute_values(":adopted", AttributeValue::Bool(true)),
        Slot::Release | Slot::Adopt => slots,
    };
    let slots = TransactWriteItem::builder().update(slots.build()?).build();
    Ok(TransactWriteItemsInput::builder().set_transact_items(Some(vec![write.item(tables)?, slots])))
}
