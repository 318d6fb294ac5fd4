//! Reads the kept counts: totals of lists, places of offsets, and reports.
//!
//! - `items` reads the items themselves.
//! - `spans` cuts a range of time into buckets, and `stretches` counts them.
//! - `totals` says how many jobs a list has, `breakdown` how many of each type and status.
//! - `locate` finds the row at an offset.
//! - `sum` adds up all numbers of an owner, and `stats` shows them.
//! - `costs` says what jobs cost, `records` how many records there are.
//! - `failures` says why jobs failed.
//! - `planned` says how many queued jobs are not due yet.
//! - `owners` says which owners have jobs at all, and of which types.
//! - `greatest` keeps the types that have the most, where there are too many.

mod breakdown;
mod costs;
mod failures;
mod greatest;
mod items;
mod locate;
mod owners;
mod planned;
mod records;
mod spans;
mod stats;
mod status_counts;
mod stretches;
mod sum;
mod totals;

pub use breakdown::{Breakdown, MAX_TYPES_WITHIN_DATES, breakdown};
pub use costs::{CostError, Costs, MAX_COST_ITEMS, Spent};
pub use failures::{FailedJobs, Failures};
pub(crate) use greatest::Greatest;
pub(crate) use items::{each_item, name_of, range, read_items};
pub use locate::{Begin, Located, locate};
pub use owners::{counts_by_owner, each_type, owners};
pub use planned::{BecameDue, NotDue, Planned, planned, planned_exactly};
pub use records::{MAX_PAIRS_ONE_BY_ONE, MAX_RECORD_PAIRS, RecordCountError, RecordCounts, RecordPair};
pub(crate) use records::{counted_in, read_records};
pub use spans::{Segment, Span, segments};
use spans::{whole_segments, widened};
pub use stats::{JobNumbers, JobStats, Percentiles, Spans};
pub use status_counts::StatusCounts;
pub(crate) use stretches::{Counted, count_segments};
pub use sum::{HEAD_BYTES, mean_run_ms, used_bytes};
use sum::{bytes_of, sum};
pub(crate) use totals::{Totals, totals};
pub use totals::{total, types_with_jobs};
