//! One change to many jobs, as work that goes on after the answer.
//!
//! The jobs are walked oldest first. Each step changes the jobs that the step before has written down (`pending`), and then
//! reads which jobs come next. So a step that is done again knows which jobs it was to change, and finds its own changes by
//! the mark that each leaves on its job.

mod change;
mod ids;

use std::collections::{BTreeSet, VecDeque};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;

use crate::background::{StepOutcome, TaskContext, Work};
use crate::counts::total;
use crate::domain::{
    BulkAction, BulkNumbers, BulkOutcome, CreatedRange, JobId, JobQuery, Order, Output, Owner, Progress,
    QueryString, RESERVED_TYPES, Seen, Status, TaskName, Timestamp, TypeName, is_reserved, job_query,
};
use crate::lists::{ListError, Total};
use crate::store::{Corrupt, Ledger, StoreError};
use ids::Found;

/// Jobs of one step.
const JOBS_A_STEP: usize = 100;
/// Jobs that are changed at the same time.
const MAX_AT_ONCE: usize = 16;

/// The kind of work.
#[derive(Debug)]
pub struct Bulk;

/// The work to do, and how far it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BulkState {
    action: BulkAction,
    /// The list's filters, by the names that its query has.
    filter: Vec<(String, String)>,
    /// The jobs that the caller named and that have not been looked up yet, instead of a filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ids: Option<VecDeque<JobId>>,
    /// How many jobs there are, as far as that is counted.
    total: Option<u64>,
    /// The jobs of this part.
    pending: Vec<Seen>,
    /// The place from which the jobs are read next.
    next: Next,
    numbers: BulkNumbers,
}

/// The jobs of a bulk action, as its caller says them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkJobs {
    /// Those of a list: its filters, by the names that its query has. [`job_query`] must be able to read them.
    Filter(Vec<(String, String)>),
    /// These, each once.
    Ids(Vec<JobId>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Next {
    Begin,
    After(String),
    End,
}

/// The output of the job.
#[derive(Serialize)]
struct Gave<'a> {
    action: BulkAction,
    #[serde(flatten)]
    numbers: &'a BulkNumbers,
}

impl BulkState {
    /// Nothing done yet.
    pub fn new(action: BulkAction, jobs: BulkJobs) -> Self {
        let (filter, ids) = match jobs {
            BulkJobs::Filter(filter) => (filter, None),
            BulkJobs::Ids(ids) => (Vec::new(), Some(VecDeque::from(ids))),
        };
        let numbers = BulkNumbers::default();
        Self { action, filter, ids, total: None, pending: Vec::new(), next: Next::Begin, numbers }
    }

    /// Which jobs of an owner, if it was asked for at that time; `None`: none can be.
    fn query(&self, owner: &Owner, at: Timestamp) -> Result<Option<JobQuery>, Corrupt> {
        let mut filter = QueryString::new(self.filter.clone());
        let query = job_query(owner.clone(), &mut filter, at);
        if let Some(error) = filter.take_errors().into_iter().next() {
            return Err(Corrupt::new(format!("filter {}", error.field), error.message));
        }
        let last = at.plus_millis(-1).min(query.created.to());
        let Ok(created) = CreatedRange::new(Some(query.created.from()), Some(last)) else { return Ok(None) };
        let statuses = self.action.wanted(&query.statuses);
        let is_possible = !statuses.is_empty();
        // All of them are the same as none named, and read fewer ranges.
        let statuses = if statuses.len() == Status::ALL.len() { BTreeSet::new() } else { statuses };
        Ok(is_possible.then_some(JobQuery { statuses, created, order: Order::Asc, ..query }))
    }

    /// How many jobs it would change now, without changing them.
    pub async fn find(&self, ledger: &Ledger, owner: &Owner, now: Timestamp) -> Result<Total, ListError> {
        if let Some(ids) = &self.ids {
            let ids: Vec<JobId> = ids.iter().copied().collect();
            let mut count = 0;
            for ids in ids.chunks(JOBS_A_STEP) {
                let found = ids::look_up(ledger, owner, self.action, ids).await?;
                count += found.iter().filter(|found| matches!(found, Found::Job(_))).count();
            }
            return Ok(Total::exact(u64::try_from(count).unwrap_or(u64::MAX)));
        }
        let Some(query) = self.query(owner, now).map_err(StoreError::from)? else {
            return Ok(Total::exact(0));
        };
        if let Some(count) = counted(ledger, &query).await? {
            return Ok(Total::exact(count));
        }
        let counts = ledger.jobs().count(&query, false).await?;
        let own: u64 = counts
            .by_type
            .iter()
            .filter(|(kind, _)| is_reserved(kind))
            .map(|(_, counts)| counts.total())
            .sum();
        Ok(Total { count: counts.total.count.saturating_sub(own), ..counts.total })
    }

    /// Looks up the next jobs that the caller named; false: this is a bulk job with a filter.
    async fn look_up(&mut self, context: &TaskContext<'_>) -> Result<bool, StoreError> {
        let Some(ids) = &mut self.ids else { return Ok(false) };
        if matches!(self.next, Next::Begin) {
            self.total = u64::try_from(ids.len()).ok();
        }
        let some: Vec<JobId> = ids.drain(..JOBS_A_STEP.min(ids.len())).collect();
        let is_last = ids.is_empty();
        for found in ids::look_up(context.ledger, &context.task.owner, self.action, &some).await? {
            match found {
                Found::Job(seen) => self.pending.push(seen),
                Found::Unfit(outcome) => self.numbers.add(outcome),
            }
        }
        let after = some.last().map(ToString::to_string).unwrap_or_default();
        self.next = if is_last { Next::End } else { Next::After(after) };
        Ok(true)
    }

    fn done(&self) -> Result<StepOutcome<Self>, StoreError> {
        let result = to_raw_value(&Gave { action: self.action, numbers: &self.numbers });
        let result = result.map_err(|error| Corrupt::new("result of a bulk job", error))?;
        Ok(StepOutcome::Done(Output { result: Some(result), ..Output::default() }))
    }

    /// The end, if nothing is left to be done or read.
    fn go_on(self) -> Result<StepOutcome<Self>, StoreError> {
        if self.pending.is_empty() && matches!(self.next, Next::End) {
            self.done()
        } else {
            Ok(StepOutcome::GoOn(self))
        }
    }
}

impl Work for Bulk {
    const KIND: &'static str = crate::domain::BULK;
    type State = BulkState;

    fn progress(state: &BulkState) -> Progress {
        let BulkState { action, numbers, total, .. } = state;
        Progress {
            current_task: TaskName::try_from(action.task(numbers, *total)).ok(),
            current_task_progress: None,
            overall_progress: numbers.percent(*total),
        }
    }

    async fn step(
        context: &TaskContext<'_>,
        mut state: BulkState,
    ) -> Result<StepOutcome<BulkState>, StoreError> {
        let Some(query) = state.query(&context.task.owner, context.task.created_at)? else {
            return state.done();
        };
        let statuses = state.action.wanted(&query.statuses);
        let changes: Vec<_> = std::mem::take(&mut state.pending)
            .into_iter()
            .map(|seen| change::change(context, state.action, &statuses, seen))
            .collect();
        let outcomes: Vec<BulkOutcome> = stream::iter(changes).buffered(MAX_AT_ONCE).try_collect().await?;
        for outcome in outcomes {
            state.numbers.add(outcome);
        }
        if matches!(state.next, Next::End) {
            return state.done();
        }
        if state.look_up(context).await? {
            return state.go_on();
        }
        let after = match &state.next {
            Next::End => return state.done(),
            Next::After(key) => Some(key.as_str()),
            Next::Begin => {
                state.total = counted(context.ledger, &query).await?;
                None
            }
        };
        let found = context.ledger.jobs().chunk_of_heads(&query, after, JOBS_A_STEP).await?;
        for job in found.jobs {
            match job {
                Ok(job) if is_reserved(&job.kind) => {}
                Ok(job) => state.pending.push(Seen::from(&job)),
                Err(corrupt) => {
                    tracing::error!(error = &corrupt as &dyn std::error::Error, "a job cannot be read");
                    state.numbers.add(BulkOutcome::Failed);
                }
            }
        }
        state.next = found.next.map_or(Next::End, Next::After);
        state.go_on()
    }
}

/// How many jobs there are, where that is counted: only for show, so it may be as late as the counters are.
async fn counted(ledger: &Ledger, query: &JobQuery) -> Result<Option<u64>, StoreError> {
    if !query.filter.is_empty() {
        return Ok(None);
    }
    let source = ledger.source().await?;
    let all = total(source, query).await?;
    if !query.types.is_empty() {
        return Ok(Some(all));
    }
    let own = RESERVED_TYPES.into_iter().filter_map(|name| TypeName::try_from(name).ok()).collect();
    let own = total(source, &JobQuery { types: own, ..query.clone() }).await?;
    Ok(Some(all.saturating_sub(own)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::JobId;

    /// Tasks outlive deployments: this text must stay readable.
    const STORED: &str = r#"{"action":"cancel","filter":[["type","a,b"],["status","queued,failed"]],"total":250,"pending":[["00000000-0000-0000-0000-000000000007",5,1,3]],"next":{"after":"2026-01-11T05:00:00.000Z#x"},"numbers":{"matched":100,"changed":98,"skipped":1,"failed":1}}"#;

    #[test]
    fn what_is_stored_stays_readable() {
        let state: BulkState = serde_json::from_str(STORED).unwrap();
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(text, STORED.replace(",1,3]", ",1,3,false]"), "written with what has been added since");
        assert_eq!(serde_json::from_str::<BulkState>(&text).unwrap().pending, state.pending);
        let id = JobId::from(uuid::Uuid::from_u128(7));
        assert_eq!(state.pending, [Seen { id, priority: 5, attempt: 1, max_attempts: 3, was_tried: false }]);
        for next in [Next::Begin, Next::End] {
            let text = serde_json::to_string(&BulkState { next, ..state.clone() }).unwrap();
            assert!(serde_json::from_str::<BulkState>(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_state_with_ids_stays_readable() {
        let ids = [1, 2].map(|id| JobId::from(uuid::Uuid::from_u128(id)));
        let state = BulkState::new(BulkAction::Retry, BulkJobs::Ids(ids.to_vec()));
        let text = r#"{"action":"retry","filter":[],"ids":["00000000-0000-0000-0000-000000000001","00000000-0000-0000-0000-000000000002"],"total":null,"pending":[],"next":"begin","numbers":{"matched":0,"changed":0,"skipped":0,"failed":0}}"#;
        assert_eq!(serde_json::to_string(&state).unwrap(), text);
        let read: BulkState = serde_json::from_str(text).unwrap();
        assert_eq!(read.ids, Some(VecDeque::from(ids)));
    }

    #[test]
    fn its_progress_is_what_it_has_done_of_what_there_is() {
        let state: BulkState = serde_json::from_str(STORED).unwrap();
        let check = |state: &BulkState, task: &str, hundredths| {
            let progress = Bulk::progress(state);
            assert_eq!(progress.current_task.unwrap().as_str(), task);
            assert_eq!(progress.overall_progress.hundredths(), hundredths);
        };
        check(&state, "cancelled 98 of 250", 4_000);
        check(&BulkState { total: None, ..state }, "cancelled 98", 0);
    }

    #[test]
    fn a_part_of_the_longest_ids_is_a_few_kilobytes() {
        let seen = Seen {
            id: JobId::from(uuid::Uuid::max()),
            priority: 10,
            attempt: 100,
            max_attempts: 100,
            was_tried: false,
        };
        let state: BulkState = serde_json::from_str(STORED).unwrap();
        let text = serde_json::to_string(&BulkState { pending: vec![seen; JOBS_A_STEP], ..state }).unwrap();
        assert!(text.len() < 6 * 1024, "{}", text.len());
    }
}
