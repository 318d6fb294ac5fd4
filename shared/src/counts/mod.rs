//! The counts: kept from the stream, so that no total ever needs a scan.
//!
//! A bucket is the sum over one owner (or all) and one span of creation times. It is stored as items of `tallies`: one for
//! all jobs and one for each type, and those of the costs by model and by team. Records have items of their own, one for
//! each kind and status. The cells of an item are numbers. `change`
//! says by how much one stream record moves them, `fold` adds many records up, [`commit`] writes the sum and the checkpoint
//! in one transaction. `read` sums buckets, `spans` finds which, `locate` finds the row at an offset.

mod bucket;
mod cell;
mod change;
mod checkpoint;
mod commit;
mod fold;
#[cfg(test)]
mod histories;
mod items;
mod locate;
mod numbers;
mod place;
mod probe;
mod queue;
mod read;
mod records;
mod resources;
mod scrape;
mod series;
mod spans;
mod storage;

pub use bucket::{Bucket, Granularity};
pub use cell::{BOUNDS_MS, Cell, Measure, Tally, TryEnd};
pub use change::{Change, Delta, deltas};
pub use checkpoint::{Checkpoint, SequenceNumber, Stream};
pub(crate) use commit::REVISION;
pub use commit::{Commit, commit, read_checkpoint};
pub use fold::{Fold, MAX_ITEMS};
pub(crate) use items::{name_of, range, read_items};
pub use locate::{Begin, Located, locate};
pub use numbers::{Breakdown, Costs, MAX_COST_ITEMS, MAX_TYPES_WITHIN_DATES, Spent, breakdown, costs, sum};
pub use place::{CostBy, Group, Place};
pub use probe::{Probe, counted_probe, probe_time, send_probe};
pub use queue::{MAX_NOTED_TYPES, NotedType, QueueNote, counts_by_owner, counts_by_type, owners};
pub(crate) use read::{Counted, Totals, count_segments, totals};
pub use read::{StatusCounts, total};
pub use records::{
    MAX_PAIRS_ONE_BY_ONE, MAX_RECORD_PAIRS, RecordChange, RecordCounts, RecordPair, count_records, lessened,
    record_deltas, remove_empty,
};
pub use resources::Metrics;
pub use scrape::{Recounted, Scrape, mean_run_ms, scrape};
pub use series::{MAX_RECORD_SERIES, MAX_RECORD_SERIES_OF_OWNER, share_series};
pub use spans::{Segment, Span, segments, whole_segments, widened};
pub use storage::{HEAD_BYTES, bytes_of, used_bytes};
// The scope of the numbers of all owners.
pub use crate::store::schema::ALL_OWNERS;
