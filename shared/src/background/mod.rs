//! Work that goes on after the answer.
//!
//! A **task** is an item of `tasks`: the work to do, how far it is, and which invocation does it at the moment. It
//! belongs to a job, which shows it to callers: [`begin`] writes both in one transaction. The table's stream calls
//! `run-background-tasks`, which claims the task, works step by step, and writes its state after each. When its time is
//! nearly over it puts the task back, and that write calls it again. At the end it completes the job and removes the
//! task.
//!
//! # A new kind of work
//!
//! 1. A type for its **state**: its input, where it is, and its numbers so far; JSON of some kilobytes at most.
//! 2. `impl Work` for a type: its [`KIND`](Work::KIND), how a state shows as [`Progress`], and one
//!    [`step`](Work::step): take the state, do a bounded amount of work, answer with the next state.
//! 3. Name it in `functions/src/streams/run_background_tasks.rs`, and allow that function what it needs in `template.yaml`.
//! 4. Add its kind to the types of the service's own ([`crate::domain::RESERVED_TYPES`]): the job that shows it is of that type.
//! 5. Where it is asked for: [`Asked::of`] the call, [`begin`], and [`Asked::answer`].
//!
//! **A step may be done again**, from the state that it was given, because the process can end anywhere. So a step first
//! writes down what it is going to do, as its next state, and does it in the step after that. If it meets its own changes
//! again, it knows them by that; [`TaskContext::is_again`] says that this may be so. If one runner was slow for longer than
//! its lease, two may work at once. Then only one of the two gets its next state written.

mod begin;
pub mod bulk;
mod item;
mod job;
pub mod recount;
mod run;

use std::future::Future;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{Output, Progress, Timestamp};
use crate::store::{Corrupt, Ledger, StoreError};

pub use begin::{Asked, AskedBy, Begun, begin, keep_key};
pub use item::Task;
pub use run::RunError;
pub(crate) use run::{Clock, run};

/// A kind of work that is done part by part.
pub trait Work: Send + Sync + 'static {
    /// Its name in the tasks' items, and the type of the jobs that show it.
    const KIND: &'static str;
    /// Its input, where it is, and its numbers so far.
    type State: Serialize + DeserializeOwned + Send + Sync;

    /// How far it is, for the job.
    fn progress(state: &Self::State) -> Progress;

    /// Does one step: it takes seconds, not minutes. After an error, the step is done again.
    fn step(
        context: &TaskContext<'_>,
        state: Self::State,
    ) -> impl Future<Output = Result<StepOutcome<Self::State>, StoreError>> + Send;
}

/// Everything that a step works with.
#[derive(Clone, Copy, Debug)]
pub struct TaskContext<'a> {
    /// The store and its settings.
    pub ledger: &'a Ledger,
    /// Whose work it is.
    pub task: &'a Task,
    /// The time for all that this step writes.
    pub now: Timestamp,
    /// Whether some or all of this step may have been done before.
    pub is_again: bool,
}

/// How a step ended.
#[derive(Clone, Debug)]
pub enum StepOutcome<S> {
    /// More, from this state on.
    GoOn(S),
    /// Nothing: this is what the job gave. Its result is logged, too: numbers, never what belongs to a caller.
    Done(Output),
}

/// A kind of work among others.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    name: &'static str,
    progress: fn(&str) -> Result<Progress, Corrupt>,
    step: StepOf,
}

/// A step of any kind of work; states are JSON.
type StepOf =
    for<'a> fn(&'a TaskContext<'a>, &'a str) -> BoxFuture<'a, Result<StepOutcome<String>, StoreError>>;

/// This kind of work.
pub const fn kind<W: Work>() -> Kind {
    Kind {
        name: W::KIND,
        progress: |state| Ok(W::progress(&read::<W>(state)?)),
        step: |context, state| Box::pin(step::<W>(context, state)),
    }
}

async fn step<W: Work>(context: &TaskContext<'_>, state: &str) -> Result<StepOutcome<String>, StoreError> {
    Ok(match W::step(context, read::<W>(state)?).await? {
        StepOutcome::GoOn(state) => StepOutcome::GoOn(write::<W>(&state)?),
        StepOutcome::Done(output) => StepOutcome::Done(output),
    })
}

fn read<W: Work>(state: &str) -> Result<W::State, Corrupt> {
    serde_json::from_str(state).map_err(|error| Corrupt::new(format!("task of kind {}", W::KIND), error))
}

fn write<W: Work>(state: &W::State) -> Result<String, Corrupt> {
    serde_json::to_string(state).map_err(|error| Corrupt::new(format!("task of kind {}", W::KIND), error))
}
