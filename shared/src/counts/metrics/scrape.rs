//! All that `GET /metrics` shows of the counts, read from one partition.

use std::collections::BTreeMap;

use super::queue_note::QUEUE_BUCKET;
use super::recounted::RECOUNT_BUCKET;
use super::series::scrape_records;
use super::{QueueNote, Recounted};
use crate::counts::read::{Greatest, RecordCounts, each_item, name_of, read_items};
use crate::counts::tally::{Checkpoint, FAILED_BUCKET, PREFIX, PROBE_BUCKET, Probe, codes_of_item};
use crate::counts::{Bucket, Cell, Group, NotDue, Place, Tally};
use crate::domain::{Status, Timestamp, TypeName, Wait};
use crate::store::schema::ALL_OWNERS;
use crate::store::{FunctionSums, Store, StoreError, Tables, function_sums};

/// Most types that a scrape shows: each has some 50 series, callers make as many types as they like, and an answer of a
/// function has an end.
const MAX_TYPES: usize = 500;

/// All that a scrape shows: one partition, whose size does not depend on how many jobs there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrape {
    /// The numbers of all owners, by type: of the types that the most jobs ever had. New types are not among them: a type
    /// that is shown stays, unless others have long passed it.
    pub types: BTreeMap<TypeName, Tally>,
    /// How often jobs of these types failed, by the code of the error.
    pub failures: BTreeMap<TypeName, BTreeMap<String, u64>>,
    /// How many types are left out of these, as there are too many.
    pub types_left_out: u64,
    /// How far each shard of the stream has been counted.
    pub checkpoints: Vec<Checkpoint>,
    /// How many records could not be read, ever.
    pub failed_records: u64,
    /// The last probe that came through.
    pub probe: Option<Probe>,
    /// The findings of the last recount of all owners; `None`: there was none yet.
    pub recounted: Option<Recounted>,
    /// The last look at the queues; `None`: nobody looked yet.
    pub queue: Option<QueueNote>,
    /// The records of all owners.
    pub records: RecordCounts,
    /// Whether there are pairs of kind and status that are left out of these, as they are too many: then these are only
    /// the first by name, and `share_series` tells which to show.
    pub are_records_cut: bool,
    /// The numbers of each function, by name.
    pub functions: BTreeMap<String, FunctionSums>,
}

impl Scrape {
    /// How the queued jobs of a type wait.
    pub fn waits(&self, kind: &TypeName, tally: &Tally) -> [(Wait, u64); 3] {
        let noted = self.queue.as_ref().and_then(|queue| queue.types.get(kind));
        let became_due = noted.map(|noted| noted.became_due).unwrap_or_default();
        NotDue::of(tally, became_due).split(tally.count(Cell::Alive(Status::Queued)))
    }
}

/// Reads what a scrape shows. The counts of records lie in the middle of the partition, and there is no telling how many
/// there are: so they are read by themselves, up to a limit. The types lie at its end, and only those that are shown are kept.
pub(super) async fn scrape(store: &Store, tables: &Tables, now: Timestamp) -> Result<Scrape, StoreError> {
    let ((first_record, last_record), (_, last)) = (Place::records(None), Place::totals());
    let after = async {
        let (mut types, mut others) = (Greatest::new(MAX_TYPES), Vec::new());
        each_item(store, tables, ALL_OWNERS, &last_record, &last, |item| {
            match Place::parse(name_of(&item)) {
                Some(Place { bucket: Bucket::Total, group: Group::Type(kind) }) => {
                    let tally = Tally::of_item(&item);
                    types.add(tally.count(Cell::Created), kind, (tally, codes_of_item(&item)));
                }
                Some(_) | None => others.push(item),
            }
        })
        .await?;
        Ok((types.finish(), others))
    };
    let (before, ((types, types_left_out), others), (records, are_all), functions) = tokio::try_join!(
        read_items(store, tables, ALL_OWNERS, PREFIX, &first_record),
        after,
        scrape_records(store, tables),
        function_sums(store, tables, now),
    )?;
    let (mut failures, mut tallies) = (BTreeMap::new(), BTreeMap::new());
    for (kind, (tally, codes)) in types {
        failures.insert(kind.clone(), codes);
        tallies.insert(kind, tally);
    }
    let mut scrape = Scrape {
        types: tallies,
        failures,
        types_left_out,
        records,
        are_records_cut: !are_all,
        functions,
        ..Scrape::default()
    };
    for item in before.into_iter().chain(others) {
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
        }
    }
    if let (Some(queue), 1..) = (&mut scrape.queue, types_left_out) {
        queue.types.retain(|kind, _| scrape.types.contains_key(kind));
    }
    Ok(scrape)
}
