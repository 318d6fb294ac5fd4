//! Beginning a task: the job that shows it and the task itself, both or neither.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::{Task, Work, write};
use crate::domain::Head;
use crate::dynamo::{AttributeMap, Ledger, StoreError, Tables, Written, head_of_row, plans};

/// How often a job may go between the write that it kept from being made and the look at it.
const MAX_TRIES: usize = 3;

/// Makes a job and the task that does it; `Some`: there was a job with this id, and nothing was made.
pub async fn begin<W: Work>(
    ledger: &Ledger,
    head: &Head,
    key_id: &str,
    state: &W::State,
) -> Result<Option<Head>, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let task = Task::begun(head, W::KIND, key_id, write::<W>(state)?);
    let plan = plan(&config.tables, &plans::create_head(&config.tables, head)?, task.item()?)
        .map_err(|error| StoreError::Refused(error.into()))?;
    for _ in 0..MAX_TRIES {
        if let Written::Done(_) = store.transact(plan.clone()).await? {
            return Ok(None);
        }
        let there = store.get(plans::get_head(&config.tables, head.job.id).consistent_read(true)).await?;
        if let Some(there) = there.map(head_of_row).transpose()? {
            // Its own first try, whose answer was lost, is no other job.
            return Ok((!there.is_same_write(head)).then_some(there));
        }
    }
    Err(StoreError::Unavailable("another job of this id came and went at every try".into()))
}

/// A task of an earlier job under the same id is put out of the way: that job is gone, or the head would be there.
fn plan(
    tables: &Tables,
    head: &PutItemInputBuilder,
    task: AttributeMap,
) -> Result<TransactWriteItemsInputBuilder, BuildError> {
    let head = Put::builder()
        .table_name(&tables.jobs)
        .set_item(head.get_item().clone())
        .set_condition_expression(head.get_condition_expression().clone())
        .build()?;
    let task = Put::builder().table_name(&tables.tasks).set_item(Some(task)).build()?;
    let items = [head, task].map(|put| TransactWriteItem::builder().put(put).build());
    Ok(TransactWriteItemsInput::builder().set_transact_items(Some(items.into())))
}
