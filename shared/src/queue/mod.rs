//! The work queue: which worker gets a job, which one holds it, and how the job goes on when the worker lets go.
//!
//! A claim reads the head of the queue and takes a job by a guarded write. If its type has a limit, the claim takes a
//! slot in the same transaction. The write that ends the try gives the slot back in one transaction, too. So a limit is
//! never passed, and a lost race costs one write that changes nothing.
//!
//! The operations on jobs are here, too, each an `impl` of [`Jobs`]: `jobs` cancels, retries and deletes; `create`, `update`,
//! `read` and `wait` do what they say; `data` keeps and removes what is stored beside a head. `send` sends the steps of jobs.

use crate::environment::Environment;

mod admit;
mod claim;
mod create;
mod data;
mod error;
mod give_back;
mod jobs;
mod memory;
mod oldest;
mod read;
mod reaper;
mod send;
mod slots;
mod standing;
mod types;
mod update;
mod wait;
mod waiting;

/// Most types that one claim may name.
pub const MAX_CLAIM_TYPES: usize = 20;
/// Most jobs that one claim answers: with their inputs they fit into an answer of Lambda.
pub const MAX_CLAIMED: i64 = 10;
/// How long a job is held without a report where nobody says, in seconds.
pub const DEFAULT_LEASE_SECONDS: u32 = 60;
/// Shortest lease, in seconds.
pub const MIN_LEASE_SECONDS: i64 = 10;
/// Longest lease, in seconds; it may be renewed for as long as the try may take.
pub const MAX_LEASE_SECONDS: i64 = 900;

/// Any of so many places, by chance; 0 where there are none.
fn any_of(places: usize) -> usize {
    let places = u64::try_from(places).unwrap_or(u64::MAX);
    let place = Environment::chance().checked_rem(places).unwrap_or(0);
    usize::try_from(place).unwrap_or(0)
}

use crate::store::Jobs;
pub use claim::{ClaimRequest, Claimed, Claims};
pub use create::Created;
pub use error::Error;
pub use give_back::{IDLE_MS, give_back};
pub use jobs::{ByBulk, Retrier};
pub use reaper::{Watched, watch};
pub use send::Made;
pub(crate) use send::make;
pub use types::{TypeOverview, TypePage};
pub use update::Update;
pub use wait::Pace;
