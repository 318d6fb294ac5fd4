//! Writes the kept counts, exactly once.
//!
//! A batch of stream records takes this path:
//!
//! 1. `change` and `record_change` say by how much one stream record moves which number.
//! 2. `fold` adds many of these moves up, until they fill a transaction.
//! 3. `failures` finds a place for groups of failures that are new, as far as an owner may have more.
//! 4. `failure_codes` finds a number for each code of the failures.
//! 5. `commit` writes the sums and the shard's `checkpoint` in one transaction.
//! 6. `batch` does these for a whole batch, and starts again if another delivery of the shard was faster.
//!
//! `probe` is a write that takes the same path, to show how far the counts lag.

mod batch;
mod change;
mod checkpoint;
mod commit;
mod failure_codes;
mod failures;
mod fold;
mod probe;
mod record_change;

pub use batch::{TallyError, tally_batch};
pub(crate) use change::PLANNED_BY;
pub use change::{Change, Delta, deltas};
pub(crate) use checkpoint::PREFIX;
pub use checkpoint::{Checkpoint, Stream};
pub(crate) use commit::{FAILED_BUCKET, REVISION};
pub use failure_codes::MAX_FAILURE_CODES;
pub(crate) use failure_codes::{codes_of_item, name_in_past};
pub use failures::{Example, MAX_FAILURE_GROUPS};
pub use fold::{Fold, MAX_ITEMS};
pub(crate) use probe::{PROBE_BUCKET, last_probe};
pub use probe::{Probe, counted_probe, send_probe};
