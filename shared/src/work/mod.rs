//! The work queue: who gets a job, who holds it, and what becomes of it when they let go.
//!
//! A claim reads the head of the queue and takes a job by a guarded write; where its type has a limit, it takes a slot in
//! the same transaction, and whatever ends the try gives the slot back in one. So a limit is never passed, and a lost
//! race costs one write that changes nothing.

mod claim;
mod output;
mod queue;
mod slots;
mod stop;

pub use claim::{ClaimRequest, Claimed, Claims};
pub use output::{drop_output, read_output, write_output};
pub use queue::{DUE_PAGE, WINDOW};
pub use stop::{replace, stop};
