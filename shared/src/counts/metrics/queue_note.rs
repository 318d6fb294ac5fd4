//! The numbers that only a look at the queues can tell. The reaper notes them once a minute, and a scrape shows them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::counts::BecameDue;
use crate::domain::{Timestamp, TypeName};
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables};

/// Most types that a note tells of: it is read at every scrape.
pub const MAX_NOTED_TYPES: usize = 500;

/// The note's place among the buckets of all owners.
pub(super) const QUEUE_BUCKET: &str = "queue";

/// The attributes of a type's jobs that became due since they were last changed.
const SCHEDULED: &str = "was_scheduled";
const RETRYING: &str = "was_retrying";

/// The numbers of the queues of all owners together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNote {
    /// When.
    pub noted_at: Timestamp,
    /// How many workers held a job.
    pub workers: u64,
    /// By type; those of which no job waits or is held may be left out.
    pub types: BTreeMap<TypeName, NotedType>,
}

/// The numbers of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotedType {
    /// Since when the job waits that has been due for longest; `None`: none that is due waits.
    pub oldest_due: Option<Timestamp>,
    /// How many jobs are held by workers.
    pub tries: u64,
    /// How many queued jobs became due since they were last changed.
    pub became_due: BecameDue,
}

impl QueueNote {
    pub(super) fn of_item(item: &AttributeMap) -> Option<Self> {
        let types = item.get("types")?.as_m().ok()?.iter().filter_map(|(kind, noted)| {
            let noted = noted.as_m().ok()?;
            let noted = NotedType {
                oldest_due: number(noted, "due").map(Timestamp::from_millis),
                tries: number(noted, "tries").and_then(|tries| u64::try_from(tries).ok()).unwrap_or(0),
                became_due: BecameDue {
                    scheduled: number(noted, SCHEDULED).unwrap_or(0),
                    retrying: number(noted, RETRYING).unwrap_or(0),
                },
            };
            Some((TypeName::try_from(kind.as_str()).ok()?, noted))
        });
        Some(Self {
            noted_at: Timestamp::from_millis(number(item, "noted_at")?),
            workers: u64::try_from(number(item, "workers")?).ok()?,
            types: types.collect(),
        })
    }

    /// Writes it down in the place of the last one.
    pub async fn record(&self, store: &Store, tables: &Tables) -> Result<(), StoreError> {
        let types = self.types.iter().map(|(kind, noted)| {
            let mut value = AttributeMap::from([("tries".to_owned(), n(noted.tries))]);
            value.extend(noted.oldest_due.map(|due| ("due".to_owned(), n(due.millis()))));
            let BecameDue { scheduled, retrying } = noted.became_due;
            for (name, count) in [(SCHEDULED, scheduled), (RETRYING, retrying)] {
                if count != 0 {
                    value.insert(name.to_owned(), n(count));
                }
            }
            (kind.to_string(), AttributeValue::M(value))
        });
        let plan = PutItemInput::builder()
            .table_name(&tables.tallies)
            .item(SCOPE, s(ALL_OWNERS))
            .item(BUCKET, s(QUEUE_BUCKET))
            .item("noted_at", n(self.noted_at.millis()))
            .item("workers", n(self.workers))
            .item("types", AttributeValue::M(types.collect()));
        store.put(plan).await.map(drop)
    }
}

fn number(item: &AttributeMap, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_is_no_note_is_passed_over() {
        assert_eq!(QueueNote::of_item(&AttributeMap::new()), None);
        let mut item = AttributeMap::from([
            ("noted_at".to_owned(), n(7)),
            ("workers".to_owned(), n(2)),
            ("types".to_owned(), AttributeValue::M(AttributeMap::from([("a b".to_owned(), n(1))]))),
        ]);
        let empty = QueueNote { noted_at: Timestamp::from_millis(7), workers: 2, types: BTreeMap::new() };
        assert_eq!(QueueNote::of_item(&item), Some(empty));
        item.insert("workers".to_owned(), n(-1));
        assert_eq!(QueueNote::of_item(&item), None);
    }
}
