//! The counts: kept from the stream, so that no total ever needs a scan.
//!
//! A bucket is the sum over one owner (or all) and one span of creation times; it is stored as an item of `tallies` for
//! each type. Its cells are numbers by type and status. `change` says by how much one stream record moves them, `fold`
//! adds many records up, [`commit`] writes the sum and the checkpoint in one transaction. `read` sums buckets, `spans` finds which.

mod bucket;
mod cell;
mod change;
mod checkpoint;
mod commit;
mod fold;
#[cfg(test)]
mod histories;
mod locate;
mod probe;
mod read;
mod spans;

pub use bucket::{Bucket, Granularity};
pub use cell::{BOUNDS_MS, Cell, Measure, Tally};
pub use change::{Change, Delta, deltas};
pub use checkpoint::{Checkpoint, SequenceNumber};
pub use commit::{Commit, commit, read_checkpoint};
pub use fold::{Fold, MAX_ITEMS};
pub use locate::{Begin, Place, locate};
pub use probe::{Probe, probe_time, send_probe};
pub use read::{Scrape, mean_run_ms, scrape, total};
pub use spans::{Segment, Span, segments};
