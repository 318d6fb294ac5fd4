//! The counts: kept from the streams, so that no total ever needs a scan.
//!
//! A *tally* is a set of kept counts: the numbers of one item of the table `tallies`, or of several added up. A *bucket* is
//! a span of creation times whose jobs are counted together. A *place* names one item: which bucket, and which jobs of
//! it. A *cell* is one number of an item. There are items for all jobs of a bucket, for each type, and for the costs by
//! model and by team. Records have items of their own, one for each kind and status.
//!
//! - `tally` writes the kept counts, exactly once.
//! - `read` reads them, for totals, offsets and reports.
//! - `past` moves the numbers of types without jobs out of the way of readers.
//! - `metrics` shapes the numbers that `GET /metrics` shows.

mod bucket;
mod cell;
mod metrics;
mod past;
mod place;
mod read;
mod tally;
mod try_end;

pub use bucket::{Bucket, Granularity};
pub use cell::{BOUNDS_MS, Cell, Measure, Tally};
pub use metrics::{
    Checker, Checkup, Component, Finding, Gathered, Gatherer, Health, MAX_NOTED_TYPES, MAX_RECORD_SERIES,
    MAX_RECORD_SERIES_OF_OWNER, NotedType, QueueNote, Recounted, Scrape, record_reaper_run,
};
pub(crate) use past::{Idle, idle_types, kind_of_past, past_of, pasts, types_ever_counted};
pub use place::{CostBy, Group, Place};
pub use read::{
    BecameDue, Begin, Breakdown, CostError, Costs, FailedJobs, Failures, HEAD_BYTES, JobNumbers, JobStats,
    Located, MAX_COST_ITEMS, MAX_PAIRS_ONE_BY_ONE, MAX_RECORD_PAIRS, MAX_TYPES_WITHIN_DATES, NotDue,
    Percentiles, Planned, RecordCountError, RecordCounts, RecordPair, Segment, Span, Spans, Spent,
    StatusCounts, breakdown, counts_by_owner, each_type, locate, mean_run_ms, owners, planned,
    planned_exactly, segments, total, types_with_jobs, used_bytes,
};
pub(crate) use read::{Counted, Greatest, Totals, count_segments, name_of, range, read_items, totals};
pub(crate) use tally::REVISION;
pub use tally::{
    Change, Checkpoint, Delta, Example, Fold, MAX_FAILURE_CODES, MAX_FAILURE_GROUPS, MAX_ITEMS, Probe,
    Stream, TallyError, counted_probe, deltas, send_probe, tally_batch,
};
pub use try_end::TryEnd;
