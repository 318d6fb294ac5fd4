//! The cost of each operation as the number of jobs grows: round trips, capacity units and milliseconds, on the
//! local engine.
//!
//! Each size has its own stack, loaded through ingest, on which every operation of [`operations`] runs several times.
//! The work [`queue`] is measured with backlogs of several lengths, and with crews of workers. Units and memory must
//! keep promises ([`Report::broken`]); speed is only reported.

mod amount;
mod clock;
mod draw;
mod error;
mod jobs;
mod load;
mod measure;
mod memory;
pub mod operations;
mod progress;
pub mod queue;
mod report;
mod stack;

pub use amount::{Amount, grouped};
pub use error::Error;
pub use load::{Load, Sample};
pub use measure::{Cost, Outcome, Spread};
pub use memory::Memory;
pub use progress::Progress;
pub use report::{Machine, Promise, Report, Row, Verdict};

use jobs::Jobs;
use stack::BenchStack;

/// Fewest jobs of a load: a page of 50 in the middle must have a page after it.
pub const MIN_JOBS: u64 = 200;
/// Most jobs of a load: a job's number has at most nine digits.
pub const MAX_JOBS: u64 = 100_000_000;
/// Most loads, and most backlogs.
pub const MAX_SIZES: usize = 8;
/// Fewest jobs of a backlog. A claim's first page must be full, however many jobs were claimed before.
pub const MIN_BACKLOG: u64 = 200;
/// Most jobs that each crew of workers does.
pub const MAX_DRAINED: u64 = 1_000_000;
/// Most calls of each operation that are measured.
pub const MAX_CALLS: u32 = 1_000;

/// The parts to measure, at which sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many jobs, from few to many; up to [`MAX_SIZES`], each from [`MIN_JOBS`] to [`MAX_JOBS`]. None: only
    /// the queue is measured.
    pub sizes: Vec<u64>,
    /// How many jobs wait in the queue, from few to many; up to [`MAX_SIZES`], each from [`MIN_BACKLOG`] to [`MAX_JOBS`].
    /// None: the queue is not measured.
    pub backlogs: Vec<u64>,
    /// The crews of workers: how many workers, and how many jobs each asks for at a time, 1 to 10.
    pub crews: Vec<(usize, usize)>,
    /// How many jobs each crew does, from 1 to [`MAX_DRAINED`].
    pub drained: u64,
    /// How often each operation is called, up to [`MAX_CALLS`].
    pub calls: u32,
    /// The seed from which jobs and parameters are drawn.
    pub seed: u64,
    /// The day to write on the report, if any.
    pub date: Option<String>,
}

/// Measures all parts of the plan.
pub async fn run(plan: &Plan, progress: Progress) -> Result<Report, Error> {
    let mut loads = Vec::new();
    let mut measured = Vec::new();
    for &size in &plan.sizes {
        let jobs = Jobs::new(size, plan.seed)?;
        let stack = BenchStack::start().await?;
        loads.push(load::run(&stack, &jobs, progress).await?);
        measured.push(measure::run(&stack, &jobs, plan.calls, progress).await?);
        stack.stop().await?;
    }
    let queue = if plan.backlogs.is_empty() { None } else { Some(queue::run(plan, progress).await?) };
    Ok(Report::new(plan, loads, measured, queue))
}
