//! What is read without dates: the numbers of a scrape, and a type's mean.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::put_item::PutItemInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::types::AttributeValue;

use super::checkpoint::PREFIX;
use super::commit::FAILED_BUCKET;
use super::items::{name_of, read_items, read_one};
use super::probe::PROBE_BUCKET;
use super::queue::QUEUE_BUCKET;
use super::series::scrape_records;
use super::{Bucket, Checkpoint, Group, Measure, Place, Probe, QueueNote, RecordCounts, Tally};
use crate::domain::{Owner, Timestamp, TypeName};
use crate::store::schema::{ALL_OWNERS, BUCKET, SCOPE};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables};

/// The mean time that jobs of a type run, in milliseconds; `None`: none has run yet.
pub async fn mean_run_ms(
    store: &Store,
    tables: &Tables,
    owner: &Owner,
    kind: &TypeName,
) -> Result<Option<u64>, StoreError> {
    let place = Place::new(Bucket::Total, Group::Type(kind.clone()));
    let tally = read_one(store, tables, owner.as_str(), &place).await?;
    Ok(tally.mean_ms(Measure::Run))
}

/// All that a scrape shows: one partition, whose size does not depend on how many jobs there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// The numbers of all owners, by type.
    pub types: BTreeMap<TypeName, Tally>,
    /// How far each shard of the stream has been counted.
    pub checkpoints: Vec<Checkpoint>,
    /// How many records could not be read, ever.
    pub failed_records: u64,
    /// The last probe that came through.
    pub probe: Option<Probe>,
    /// What the last recount of all owners found; `None`: there was none yet.
    pub recounted: Option<Recounted>,
    /// What was last seen of the queues; `None`: nobody looked yet.
    pub queue: Option<QueueNote>,
    /// The records of all owners.
    pub records: RecordCounts,
    /// Whether there are pairs of kind and status that are left out of these, as they are too many: then these are only
    /// the first by name, and [`share_series`](super::share_series) tells which to show.
    pub are_records_cut: bool,
}

/// What a recount found, and has not repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recounted {
    /// When it ended.
    pub finished_at: Timestamp,
    /// How many hours it compared with the jobs.
    pub hours: u64,
    /// How many of them, and of the longer buckets, changed too often to be compared.
    pub busy: u64,
    /// How many numbers it put right.
    pub repaired: u64,
    /// How many numbers were still wrong at its end, by scope; scopes without any may be left out.
    pub drift: BTreeMap<String, u64>,
}

/// The place of the last recount among the buckets of all owners.
const RECOUNT_BUCKET: &str = "recount";
/// Its numbers by scope.
const DRIFT: &str = "drift";

impl Recounted {
    fn of_item(item: &AttributeMap) -> Option<Self> {
        let number = |value: &AttributeValue| value.as_n().ok()?.parse::<u64>().ok();
        let named = |name: &str| item.get(name).and_then(number);
        let drift = item.get(DRIFT)?.as_m().ok()?;
        Some(Self {
            finished_at: Timestamp::from_millis(i64::try_from(named("finished_at")?).ok()?),
            hours: named("hours")?,
            busy: named("busy")?,
            repaired: named("repaired")?,
            drift: drift.iter().filter_map(|(scope, count)| Some((scope.clone(), number(count)?))).collect(),
        })
    }

    /// Writes it down in the place of the last one.
    pub(crate) async fn record(&self, store: &Store, tables: &Tables) -> Result<(), StoreError> {
        let drift = self.drift.iter().map(|(scope, count)| (scope.clone(), n(count)));
        let plan = PutItemInput::builder()
            .table_name(&tables.tallies)
            .item(SCOPE, s(ALL_OWNERS))
            .item(BUCKET, s(RECOUNT_BUCKET))
            .item("finished_at", n(self.finished_at.millis()))
            .item("hours", n(self.hours))
            .item("busy", n(self.busy))
            .item("repaired", n(self.repaired))
            .item(DRIFT, AttributeValue::M(drift.collect()));
        store.put(plan).await.map(drop)
    }

    /// Writes down what was found in one scope, beside what the last recount of all owners found in the others.
    pub(crate) async fn record_one(
        store: &Store,
        tables: &Tables,
        scope: &str,
        drift: u64,
    ) -> Result<(), StoreError> {
        let plan = UpdateItemInput::builder()
            .table_name(&tables.tallies)
            .key(SCOPE, s(ALL_OWNERS))
            .key(BUCKET, s(RECOUNT_BUCKET))
            .update_expression("SET #drift.#scope = :drift")
            .condition_expression("attribute_exists(#drift)")
            .expression_attribute_names("#drift", DRIFT)
            .expression_attribute_names("#scope", scope)
            .expression_attribute_values(":drift", n(drift));
        store.update(plan).await.map(drop)
    }
}

/// Reads what a scrape shows. The counts of records lie in the middle of the partition, and there is no telling how many
/// there are: so they are read by themselves, up to a limit.
pub async fn scrape(store: &Store, tables: &Tables) -> Result<Scrape, StoreError> {
    let ((first_record, last_record), (_, last)) = (Place::records(None), Place::totals());
    let (before, after, (records, are_all)) = tokio::try_join!(
        read_items(store, tables, ALL_OWNERS, PREFIX, &first_record),
        read_items(store, tables, ALL_OWNERS, &last_record, &last),
        scrape_records(store, tables),
    )?;
    let mut scrape = Scrape { records, are_records_cut: !are_all, ..Scrape::default() };
    for item in before.into_iter().chain(after) {
        let name = name_of(&item);
        if name.starts_with(PREFIX) {
            scrape.checkpoints.push(Checkpoint::of_item(&item)?);
        } else if name == FAILED_BUCKET {
            let records = item.get("records").and_then(|value| value.as_n().ok());
            scrape.failed_records = records.and_then(|number| number.parse().ok()).unwrap_or(0);
        } else if name == PROBE_BUCKET {
            scrape.probe = Probe::of_item(&item);
        } else if name == RECOUNT_BUCKET {
            scrape.recounted = Recounted::of_item(&item);
        } else if name == QUEUE_BUCKET {
            scrape.queue = QueueNote::of_item(&item);
        } else if let Some(Place { bucket: Bucket::Total, group: Group::Type(kind) }) = Place::parse(name) {
            scrape.types.insert(kind, Tally::of_item(&item));
        }
    }
    Ok(scrape)
}
