//! Groups of failures: at most so many of an owner have an item.
//!
//! An item is made with the first job of its group, and goes with the last. If an owner has no place left, the jobs of a
//! new group are counted in no item: they are the failed jobs that the items together leave over. So the sum is exact.
//!
//! A job that leaves its group is taken from the group's item, if there is one. Otherwise it was in none. An item never
//! counts more jobs than its group has. If an item was made while jobs of its group were in none, it counts fewer.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Fold;
use super::commit::REVISION;
use crate::counts::place::FAILURES;
use crate::counts::{Cell, Place, Tally};
use crate::domain::{Job, JobId, State, Timestamp, cut};
use crate::store::pages::READS_AT_ONCE;
use crate::store::schema::{BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables, plans};

/// Most groups of failures of an owner that have an item.
pub const MAX_FAILURE_GROUPS: usize = 500;
/// How many groups of an owner have an item, in the item `failures`.
const GROUPS: &str = "groups";
/// The newest failure of a group: its job, when it failed, and its message.
const EXAMPLE_JOB: &str = "example_job";
const EXAMPLE_AT: &str = "example_at";
const EXAMPLE_MESSAGE: &str = "example_message";
/// Writes an example down.
const SHOW_EXAMPLE: &str = " SET #job = :job, #at = :at, #message = :message";
/// Most characters of a message that is kept as an example: an item shall stay within a write unit.
const MAX_EXAMPLE_CHARS: usize = 200;

/// A job of a group of failures, to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The job.
    pub job_id: JobId,
    /// When it failed.
    pub failed_at: Timestamp,
    /// The message of its error, or the beginning of it.
    pub message: String,
}

impl Example {
    /// A failed job as an example.
    pub fn of(job: &Job) -> Option<Self> {
        let State::Failed(ended, error) = &job.state else { return None };
        let message = cut(error.message.clone(), MAX_EXAMPLE_CHARS);
        Some(Self { job_id: job.id, failed_at: ended.completed_at, message })
    }

    /// The example that an item shows.
    pub(crate) fn of_item(item: &AttributeMap) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok();
        Some(Self {
            job_id: JobId::try_from(text(EXAMPLE_JOB)?.as_str()).ok()?,
            failed_at: failed_at(item)?,
            message: text(EXAMPLE_MESSAGE)?.clone(),
        })
    }

    /// Whether it failed later.
    pub fn is_after(&self, other: &Self) -> bool {
        self.failed_at > other.failed_at
    }
}

fn failed_at(item: &AttributeMap) -> Option<Timestamp> {
    item.get(EXAMPLE_AT)?.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}

/// The write that a group's item needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// None: its jobs are in no item.
    Pass,
    /// It begins with so many jobs.
    Make(u64),
    /// It moves, and stays.
    Move(i64),
    /// It had so many jobs, and goes.
    End(u64),
}

/// The step of a group that has so many jobs in its item (`None`: it has no item) and gets so many more or fewer.
fn step(counted: Option<u64>, by: i64, has_room: bool) -> Step {
    match (counted, u64::try_from(by)) {
        (None, Ok(more)) if more > 0 && has_room => Step::Make(more),
        (Some(count), Err(_)) if by.unsigned_abs() >= count => Step::End(count),
        (Some(_), _) => Step::Move(by),
        (None, _) => Step::Pass,
    }
}

/// The writes of the groups whose jobs have moved.
///
/// Each has a condition: what was read here still holds. If it does not, nothing of the commit is written, and the batch
/// starts again.
pub(super) async fn writes(
    store: &Store,
    tables: &Tables,
    fold: &Fold,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    let moves = fold.items().filter_map(|(scope, place, cells)| {
        let (_, by) = cells.into_iter().find(|(cell, _)| *cell == Cell::Grouped)?;
        Some((scope, place, by))
    });
    let reads = moves.map(|(scope, place, by)| async move {
        let item = read(store, tables, scope, &place.to_string()).await?;
        Ok::<_, StoreError>((scope, place, by, item))
    });
    let reads: Vec<_> = reads.collect();
    let read: Vec<_> = stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await?;
    let mut rooms = BTreeMap::new();
    for (scope, _, _, item) in &read {
        if item.is_none() && !rooms.contains_key(scope) {
            rooms.insert(*scope, Room::of(self::read(store, tables, scope, FAILURES).await?.as_ref()));
        }
    }
    let mut writes = Vec::new();
    for (scope, place, by, item) in &read {
        let counted = item.as_ref().map(|item| Tally::of_item(item).count(Cell::Grouped));
        let has_room = rooms.get(scope).is_some_and(Room::is_free);
        let step = step(counted, *by, has_room);
        let room = rooms.entry(*scope).or_default();
        match step {
            Step::Make(_) => room.more += 1,
            Step::End(_) => room.more -= 1,
            Step::Move(_) | Step::Pass => {}
        }
        let write = Write { tables, scope, place, item: item.as_ref(), example: fold.example(scope, place) };
        writes.extend(write.of(step).map_err(refused)?);
    }
    for (scope, room) in rooms.into_iter().filter(|(_, room)| room.more != 0) {
        writes.push(room.write(tables, scope).map_err(refused)?);
    }
    Ok(writes)
}

fn refused(error: BuildError) -> StoreError {
    StoreError::Refused(error.into())
}

async fn read(
    store: &Store,
    tables: &Tables,
    scope: &str,
    bucket: &str,
) -> Result<Option<AttributeMap>, StoreError> {
    store.get(plans::get_tally(tables, scope, bucket).consistent_read(true)).await
}

/// How many groups an owner has, and how many more this commit makes than it ends.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    groups: usize,
    more: isize,
}

impl Room {
    fn of(item: Option<&AttributeMap>) -> Self {
        let groups = item.and_then(|item| item.get(GROUPS)?.as_n().ok()?.parse().ok());
        Self { groups: groups.unwrap_or(0), more: 0 }
    }

    fn is_free(&self) -> bool {
        self.groups.saturating_add_signed(self.more) < MAX_FAILURE_GROUPS
    }

    fn write(self, tables: &Tables, scope: &str) -> Result<TransactWriteItem, BuildError> {
        let item = Update::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(scope))
            .key(BUCKET, s(FAILURES))
            .update_expression(format!("ADD {REVISION} :one, {GROUPS} :more"))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":more", n(self.more));
        let item = match usize::try_from(self.more) {
            Ok(more) => item
                .condition_expression(format!("attribute_not_exists({GROUPS}) OR {GROUPS} <= :most"))
                .expression_attribute_values(":most", n(MAX_FAILURE_GROUPS.saturating_sub(more))),
            Err(_) => item,
        };
        Ok(TransactWriteItem::builder().update(item.build()?).build())
    }
}

/// A group's item as it was read, and the newest failure that is counted now.
struct Write<'a> {
    tables: &'a Tables,
    scope: &'a str,
    place: &'a Place,
    item: Option<&'a AttributeMap>,
    example: Option<&'a Example>,
}

impl Write<'_> {
    fn of(&self, step: Step) -> Result<Option<TransactWriteItem>, BuildError> {
        let write = TransactWriteItem::builder();
        let cell = Cell::Grouped;
        Ok(Some(match step {
            Step::Pass => return Ok(None),
            Step::End(count) => {
                let item = Delete::builder()
                    .table_name(&self.tables.tallies)
                    .key(SCOPE, s(self.scope))
                    .key(BUCKET, s(self.place))
                    .condition_expression("#grouped = :count")
                    .expression_attribute_names("#grouped", cell.to_string())
                    .expression_attribute_values(":count", n(count));
                write.delete(item.build()?).build()
            }
            Step::Make(count) => {
                let condition = "attribute_not_exists(#grouped)".to_owned();
                write.update(self.update(i64::try_from(count).unwrap_or(i64::MAX), condition)?).build()
            }
            Step::Move(by) if by < 0 => {
                write.update(self.update(by, "#grouped > :least".to_owned())?).build()
            }
            Step::Move(by) => write.update(self.update(by, "attribute_exists(#grouped)".to_owned())?).build(),
        }))
    }

    /// If two shards count failures of the group at the same moment, the example is of one of them.
    fn update(&self, by: i64, condition: String) -> Result<Update, BuildError> {
        let mut expression = format!("ADD {REVISION} :one, #grouped :by");
        let mut item: UpdateBuilder = Update::builder()
            .table_name(&self.tables.tallies)
            .key(SCOPE, s(self.scope))
            .key(BUCKET, s(self.place))
            .expression_attribute_names("#grouped", Cell::Grouped.to_string())
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":by", n(by));
        if by < 0 {
            item = item.expression_attribute_values(":least", n(by.unsigned_abs()));
        }
        let shown_at = self.item.and_then(failed_at);
        if let Some(example) = self.example.filter(|example| shown_at.is_none_or(|at| example.failed_at > at))
        {
            expression.push_str(SHOW_EXAMPLE);
            item = item
                .expression_attribute_names("#job", EXAMPLE_JOB)
                .expression_attribute_names("#at", EXAMPLE_AT)
                .expression_attribute_names("#message", EXAMPLE_MESSAGE)
                .expression_attribute_values(":job", s(example.job_id))
                .expression_attribute_values(":at", n(example.failed_at.millis()))
                .expression_attribute_values(":message", s(&example.message));
        }
        item.update_expression(expression).condition_expression(condition).build()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_group_begins_with_its_first_job_and_goes_with_its_last() {
        assert_eq!(step(None, 2, true), Step::Make(2));
        assert_eq!(step(None, 2, false), Step::Pass);
        assert_eq!(step(None, -2, true), Step::Pass);
        assert_eq!(step(Some(3), 2, false), Step::Move(2));
        assert_eq!(step(Some(3), -2, true), Step::Move(-2));
        assert_eq!(step(Some(3), -3, true), Step::End(3));
        // Of four jobs, one was in no item.
        assert_eq!(step(Some(3), -4, true), Step::End(3));
    }

    proptest! {
        /// Jobs of three groups fail and are mended. Two groups have a place.
        #[test]
        fn an_item_never_counts_more_jobs_than_its_group_has(
            moves in proptest::collection::vec((0_usize..3, -3_i64..4), 0..60),
        ) {
            let mut items: [Option<u64>; 3] = [None; 3];
            let mut jobs = [0_u64; 3];
            for (group, by) in moves {
                let Some(now) = jobs[group].checked_add_signed(by) else { continue };
                jobs[group] = now;
                let has_room = items.iter().flatten().count() < 2;
                items[group] = match step(items[group], by, has_room) {
                    Step::Pass => items[group],
                    Step::Make(count) => Some(count),
                    Step::Move(by) => items[group].map(|count| count.checked_add_signed(by).unwrap()),
                    Step::End(count) => {
                        prop_assert_eq!(items[group], Some(count));
                        None
                    }
                };
                for (item, jobs) in items.iter().zip(jobs) {
                    prop_assert!(item.is_none_or(|count| 0 < count && count <= jobs));
                }
                prop_assert!(items.iter().flatten().count() <= 2);
            }
        }
    }
}
