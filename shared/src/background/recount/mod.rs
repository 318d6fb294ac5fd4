//! Counting anew, while the service runs: the buckets are compared with the jobs.
//!
//! Owner by owner, the hours are compared with the rows of the index, and then each longer bucket with the shorter ones
//! that it is made of. The recount tells the errors. It repairs them if the request asked for that.
//!
//! Each step of the task goes some way on that walk. It writes down the errors that it finds (`fixes`), and the next
//! step repairs them. So a step that is done again knows its task, and recognises its own repairs.

mod begin;
mod hour;
mod level;
mod look;
mod numbers;
mod repair;
mod settle;
mod steps;
mod walk;

use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::background::{StepOutcome, TaskContext, Work};
use crate::counts::Recounted;
use crate::domain::{Output, Percent, Progress, TaskName};
use crate::store::schema::ALL_OWNERS;
use crate::store::{Corrupt, Source, StoreError};

pub use begin::{RecountRequest, begin};

use numbers::Numbers;
use repair::Fix;
use settle::{MAX_SUSPECTS, Suspect};
use steps::KnownTypes;

/// Steps of the walk that one part takes.
const MAX_STEPS: usize = 100;
/// Past so many rows, a part takes no more steps, and a step no more hours.
const MAX_ROWS: u64 = 100_000;
/// Longest time to settle that can be asked for, in seconds.
pub const MAX_SETTLE_SECONDS: i64 = 3_600;
/// Time to settle where nobody says, in seconds.
pub const SETTLE_SECONDS: u16 = 60;

/// The kind of work.
#[derive(Debug)]
pub struct Recount;

/// The comparison that is asked for, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecountState {
    repair: bool,
    /// Whose counts; `None`: everybody's.
    owner: Option<String>,
    settle_seconds: u16,
    at: At,
    /// Hours that seem wrong.
    suspects: Vec<Suspect>,
    /// And those that looked different when they were looked at again.
    again: Vec<Suspect>,
    /// Since when these settle.
    settling: Option<i64>,
    /// The repairs of the next part.
    fixes: Vec<Fix>,
    numbers: Numbers,
}

/// The place of the walk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum At {
    /// Before the hours of the owner after this one.
    HoursAfter(Option<String>),
    /// At the hours of an owner from a time on.
    Hours(String, i64),
    /// Before the longer buckets of the owner after this one.
    LevelsAfter(Option<String>),
    /// At those of an owner: of all jobs or those of a type, from a month on.
    Levels(String, Option<String>, i64, Level),
    /// At the sums over all owners.
    Everybody,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    Days,
    Month,
}

impl RecountState {
    /// Nothing done yet.
    pub fn new(request: &RecountRequest) -> Self {
        Self {
            repair: request.repair,
            owner: request.owner.as_ref().map(ToString::to_string),
            settle_seconds: request.settle_seconds,
            at: At::HoursAfter(None),
            suspects: Vec::new(),
            again: Vec::new(),
            settling: None,
            fixes: Vec::new(),
            numbers: Numbers::default(),
        }
    }

    /// Whether hours must be looked at again before the walk goes on.
    fn must_settle(&self) -> bool {
        let is_among_hours = matches!(self.at, At::Hours(..) | At::HoursAfter(_));
        self.settling.is_some()
            || self.suspects.len() >= MAX_SUSPECTS
            || (!self.suspects.is_empty() && !is_among_hours)
    }

    /// Notes the errors, to be repaired if that was asked for.
    fn found_wrong(&mut self, fix: Fix) {
        self.numbers.drift.add(&fix.scope, fix.wrong);
        if self.repair {
            self.fixes.push(fix);
        } else {
            self.numbers.left.add(&fix.scope, fix.wrong);
        }
    }

    /// Writes down the findings, for the metrics, and ends.
    async fn end(
        self,
        context: &TaskContext<'_>,
        source: Source<'_>,
    ) -> Result<StepOutcome<Self>, StoreError> {
        let Numbers { hours, busy, repaired, left, .. } = self.numbers.clone();
        match &self.owner {
            None => {
                let drift = left.into_map();
                let recounted = Recounted { finished_at: context.now, hours, busy, repaired, drift };
                recounted.record(source.store, source.tables).await?;
            }
            Some(owner) => {
                for scope in [owner.as_str(), ALL_OWNERS] {
                    Recounted::record_one(source.store, source.tables, scope, left.get(scope)).await?;
                }
            }
        }
        let result = to_raw_value(&self.numbers.gave());
        let result = result.map_err(|error| Corrupt::new("result of a recount", error))?;
        Ok(StepOutcome::Done(Output { result: Some(result), ..Output::default() }))
    }
}

impl Work for Recount {
    const KIND: &'static str = crate::domain::RECOUNT;
    type State = RecountState;

    fn progress(state: &RecountState) -> Progress {
        let Numbers { hours, drift, .. } = &state.numbers;
        let task = format!("compared {hours} hours, {} numbers were wrong", drift.sum());
        let hundredths: u16 = match &state.at {
            At::HoursAfter(_) | At::Hours(..) => 0,
            At::LevelsAfter(_) | At::Levels(..) => 5_000,
            At::Everybody | At::End => 9_000,
        };
        Progress {
            current_task: TaskName::try_from(task).ok(),
            current_task_progress: None,
            overall_progress: Percent::try_from(hundredths).unwrap_or_default(),
        }
    }

    async fn step(
        context: &TaskContext<'_>,
        mut state: RecountState,
    ) -> Result<StepOutcome<RecountState>, StoreError> {
        let source = context.ledger.source().await?;
        if !state.fixes.is_empty() {
            state.put_right(context, source).await?;
            return Ok(StepOutcome::GoOn(state));
        }
        if state.must_settle() {
            settle::settle(context, source, &mut state).await?;
            return Ok(StepOutcome::GoOn(state));
        }
        let mut rows = 0;
        let mut known = KnownTypes::default();
        for _ in 0..MAX_STEPS {
            if state.at == At::End {
                return state.end(context, source).await;
            }
            rows += state.step(source, &mut known).await?;
            if rows > MAX_ROWS || !state.fixes.is_empty() || state.must_settle() {
                break;
            }
        }
        Ok(StepOutcome::GoOn(state))
    }
}

#[cfg(test)]
mod tests;
