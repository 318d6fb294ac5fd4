//! What is read without dates: the numbers of a scrape, and a type's mean.

use std::collections::BTreeMap;

use super::checkpoint::PREFIX;
use super::commit::FAILED_BUCKET;
use super::items::{name_of, read_items, read_one};
use super::probe::PROBE_BUCKET;
use super::{Bucket, Checkpoint, Group, Measure, Place, Probe, Tally};
use crate::domain::{Owner, TypeName};
use crate::dynamo::schema::ALL_OWNERS;
use crate::dynamo::{Store, StoreError, Tables};

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
}

/// Reads what a scrape shows.
pub async fn scrape(store: &Store, tables: &Tables) -> Result<Scrape, StoreError> {
    let mut scrape = Scrape::default();
    // The partition has nothing else: all its names lie between these two.
    let (_, last) = Place::totals();
    for item in read_items(store, tables, ALL_OWNERS, PREFIX, &last).await? {
        let name = name_of(&item);
        if name.starts_with(PREFIX) {
            scrape.checkpoints.push(Checkpoint::of_item(&item)?);
        } else if name == FAILED_BUCKET {
            let records = item.get("records").and_then(|value| value.as_n().ok());
            scrape.failed_records = records.and_then(|number| number.parse().ok()).unwrap_or(0);
        } else if name == PROBE_BUCKET {
            scrape.probe = Probe::of_item(&item);
        } else if let Some(Place { bucket: Bucket::Total, group: Group::Type(kind) }) = Place::parse(name) {
            scrape.types.insert(kind, Tally::of_item(&item));
        }
    }
    Ok(scrape)
}
