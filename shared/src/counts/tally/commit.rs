//! Writing what was counted: the numbers and the checkpoint, all or nothing.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsInput;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{TransactWriteItem, Update};

use super::checkpoint::{STREAM, checkpoint_bucket};
use super::failure_codes::CodeSums;
use super::probe::{PROBE_BUCKET, Probe};
use super::{Checkpoint, Fold, Stream};
use crate::counts::{Cell, Group, Place};
use crate::domain::Timestamp;
use crate::store::schema::{ALL_OWNERS, BUCKET, EXPIRES_AT, OWNERS, SCOPE};
use crate::store::value::{n, s};
use crate::store::{SequenceNumber, Store, StoreError, Tables, Written, plans};

/// The place of the number of unreadable records among the buckets of all owners: checkpoints go, it stays.
pub(crate) const FAILED_BUCKET: &str = "failed";
/// How often an item of a bucket was written.
pub(crate) const REVISION: &str = "revision";
/// How long a checkpoint is kept after its last commit, in hours: the stream keeps records for 24.
const CHECKPOINT_TTL_HOURS: i64 = 72;
/// How long the counts of jobs that were due in a span are kept after it, in hours.
const PLANNED_TTL_HOURS: i64 = 72;

/// The content of one transaction.
#[derive(Clone, Debug)]
pub(super) struct Commit<'a> {
    /// The shard that was read.
    pub(super) shard_id: &'a str,
    /// Whose it is, as far as its records say.
    pub(super) stream: Option<Stream>,
    /// The checkpoint as it was read: if it moved since, nothing is written.
    pub(super) read: Option<&'a SequenceNumber>,
    /// The last record that is included.
    pub(super) last: &'a SequenceNumber,
    /// When that record was written.
    pub(super) written_at: Timestamp,
    /// The changes that the records make.
    pub(super) fold: &'a Fold,
    /// The writes of the groups of failures among these.
    pub(super) groups: Vec<TransactWriteItem>,
    /// By how much the numbers of failures by code move.
    pub(super) codes: CodeSums,
    /// How many records could not be read.
    pub(super) unreadable: u64,
    /// The last probe among the records.
    pub(super) probe: Option<Timestamp>,
    /// Those of their owners that may be missing in the list of all.
    pub(super) owners: &'a [&'a str],
    /// The current time.
    pub(super) now: Timestamp,
}

impl Commit<'_> {
    /// Whether there is nothing to write: the checkpoint then stays, and the records are passed over again.
    pub(super) fn is_empty(&self) -> bool {
        self.fold.is_empty() && self.unreadable == 0 && self.probe.is_none()
    }

    /// The transaction, as a value.
    fn plan(&self, tables: &Tables) -> Result<TransactWriteItemsInputBuilder, BuildError> {
        let mut items = vec![self.checkpoint(tables)?];
        for (scope, place, cells) in self.fold.items() {
            if matches!(place.group, Group::Failures(..)) {
                continue;
            }
            items.push(self.add(tables, scope, place, &cells)?);
        }
        for owner in self.owners {
            items.push(
                update(tables, OWNERS, owner)
                    .update_expression("SET counted_since = if_not_exists(counted_since, :now)")
                    .expression_attribute_values(":now", n(self.now.millis()))
                    .build()?,
            );
        }
        if self.unreadable > 0 {
            items.push(
                update(tables, ALL_OWNERS, FAILED_BUCKET)
                    .update_expression("ADD records :unreadable")
                    .expression_attribute_values(":unreadable", n(self.unreadable))
                    .build()?,
            );
        }
        if let Some(at) = self.probe {
            items.push(Probe { at, counted_at: self.now }.record(update(
                tables,
                ALL_OWNERS,
                PROBE_BUCKET,
            ))?);
        }
        let items = items.into_iter().map(|item| TransactWriteItem::builder().update(item).build());
        let items = items.chain(self.groups.iter().cloned());
        Ok(TransactWriteItemsInput::builder().set_transact_items(Some(items.collect())))
    }

    /// Adds to numbers, which begin at 0, and to the item's revision, by which a recount sees that it has changed.
    fn add(
        &self,
        tables: &Tables,
        scope: &str,
        place: &Place,
        cells: &[(Cell, i64)],
    ) -> Result<Update, BuildError> {
        let mut item = update(tables, scope, &place.to_string()).expression_attribute_values(":one", n(1));
        let mut terms = vec![format!("{REVISION} :one")];
        let cells = cells.iter().map(|(cell, by)| (cell.to_string(), n(by)));
        let codes = self.codes.get(place).filter(|_| scope == ALL_OWNERS);
        let codes = codes.into_iter().flatten().map(|(name, by)| (name.clone(), n(by)));
        for (index, (name, by)) in cells.chain(codes).enumerate() {
            terms.push(format!("#{index} :{index}"));
            item = item
                .expression_attribute_names(format!("#{index}"), name)
                .expression_attribute_values(format!(":{index}"), by);
        }
        let mut expression = format!("ADD {}", terms.join(", "));
        if let Group::Planned(_) = place.group {
            // Nobody reads it when its time is over.
            let gone_at = place.bucket.end().max(self.now).plus_hours(PLANNED_TTL_HOURS).seconds_ceil();
            expression.push_str(" SET #end = :end");
            item = item
                .expression_attribute_names("#end", EXPIRES_AT)
                .expression_attribute_values(":end", n(gone_at));
        }
        item.update_expression(expression).build()
    }

    fn checkpoint(&self, tables: &Tables) -> Result<Update, BuildError> {
        let bucket = checkpoint_bucket(self.shard_id);
        let mut sets =
            "SET #sequence = :last, written_at = :written_at, counted_at = :now, expires_at = :expires_at"
                .to_owned();
        let mut item = update(tables, ALL_OWNERS, &bucket);
        if let Some(stream) = self.stream {
            sets.push_str(", #stream = :stream");
            item = item
                .expression_attribute_names("#stream", STREAM)
                .expression_attribute_values(":stream", s(stream.as_str()));
        }
        let item = item
            .update_expression(sets)
            .expression_attribute_names("#sequence", "sequence")
            .expression_attribute_values(":last", s(self.last))
            .expression_attribute_values(":written_at", n(self.written_at.millis()))
            .expression_attribute_values(":now", n(self.now.millis()))
            .expression_attribute_values(
                format!(":{EXPIRES_AT}"),
                n(self.now.plus_hours(CHECKPOINT_TTL_HOURS).seconds_ceil()),
            );
        match self.read {
            None => item.condition_expression("attribute_not_exists(#sequence)"),
            Some(read) => {
                item.condition_expression("#sequence = :read").expression_attribute_values(":read", s(read))
            }
        }
        .build()
    }
}

fn update(tables: &Tables, scope: &str, bucket: &str) -> UpdateBuilder {
    Update::builder().table_name(&tables.tallies).key(SCOPE, s(scope)).key(BUCKET, s(bucket))
}

/// Writes a commit; false: the checkpoint or a group of failures has moved since it was read, and nothing was written.
pub(super) async fn commit(store: &Store, tables: &Tables, commit: &Commit<'_>) -> Result<bool, StoreError> {
    let plan = commit.plan(tables).map_err(|error| StoreError::Refused(error.into()))?;
    Ok(match store.transact(plan).await? {
        Written::Done(_) => true,
        Written::Refused(_) => false,
    })
}

/// Reads how far a shard has been counted, as of now.
pub(super) async fn read_checkpoint(
    store: &Store,
    tables: &Tables,
    shard_id: &str,
) -> Result<Option<Checkpoint>, StoreError> {
    let plan = plans::get_tally(tables, ALL_OWNERS, &checkpoint_bucket(shard_id));
    let item = store.get(plan.consistent_read(true)).await?;
    Ok(item.as_ref().map(Checkpoint::of_item).transpose()?)
}
