//! One invocation: takes a task, does parts of it while there is time, and puts it back or ends it.

use std::time::Duration;

use uuid::Uuid;

use super::item::{Claim, Turn};
use super::{Kind, StepOutcome, Task, TaskContext, item, job};
use crate::audit::Audit;
use crate::domain::{Head, JobId, Output, Step, Timestamp};
use crate::environment::Environment;
use crate::queue::{Made, make};
use crate::store::{Corrupt, Ledger, StoreError, Written, plans};

/// How long before Lambda ends an invocation it begins no more parts, in milliseconds: as long as one takes on a bad day.
const MARGIN_MS: u64 = 60_000;
/// Most parts of one invocation, where nothing else ends it.
const MAX_PARTS: usize = 100_000;
/// How many invocations may begin with the same state: past that, it will not get on.
const MAX_TRIES: u32 = 10;
/// How long to wait before looking again at a task that somebody else has.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often: until the lease is over that was seen first, and some more.
const MAX_LOOKS: usize = 90;

/// Why a task was not worked on; its delivery comes again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task is of a kind that this function does not know.
    #[error("nobody does tasks of kind {0:?}")]
    UnknownKind(String),
    /// Other invocations held the task for as long as this one looked.
    #[error("others had the task at every look")]
    Held,
}

impl From<Corrupt> for RunError {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.into())
    }
}

/// The time, and when Lambda ends the invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    now: fn() -> Timestamp,
    deadline: Option<Timestamp>,
}

impl Clock {
    /// `deadline` in milliseconds since 1970; 0: there is none.
    pub(crate) fn new(now: fn() -> Timestamp, deadline: u64) -> Self {
        let deadline = i64::try_from(deadline).ok().filter(|deadline| *deadline > 0);
        Self { now, deadline: deadline.map(Timestamp::from_millis) }
    }

    fn now(self) -> Timestamp {
        (self.now)()
    }

    /// Whether another part may begin.
    fn is_time_left(self) -> bool {
        self.deadline.is_none_or(|deadline| deadline.since(self.now()) > MARGIN_MS)
    }
}

/// A task, and the claim under which it is worked on.
struct Held<'a> {
    ledger: &'a Ledger,
    task: Task,
    token: Uuid,
    clock: Clock,
}

/// Gets on with a task, as far as the time goes. Nothing to do is done.
pub(crate) async fn run(ledger: &Ledger, kinds: &[Kind], id: JobId, clock: Clock) -> Result<(), RunError> {
    let Some(held) = take(ledger, id, clock).await? else { return Ok(()) };
    if held.task.tries > MAX_TRIES {
        return Ok(held.give_up().await?);
    }
    let kind = kinds.iter().find(|kind| kind.name == held.task.kind);
    let kind = kind.ok_or_else(|| RunError::UnknownKind(held.task.kind.clone()))?;
    Ok(held.work(kind).await?)
}

/// Claims a task; `None`: there is none any more, or somebody is at it.
///
/// Somebody who has it but shows no sign of life may have died: their own delivery comes again, and this may be it. So a
/// claim is waited for, until it is renewed or runs out.
async fn take(ledger: &Ledger, id: JobId, clock: Clock) -> Result<Option<Held<'_>>, RunError> {
    let Ledger { store, config, .. } = ledger;
    let token = Environment::fresh_id();
    let mut seen: Option<Claim> = None;
    for _ in 0..MAX_LOOKS {
        let Some(found) = store.get(item::read(&config.tables, id)).await? else { return Ok(None) };
        let task = Task::of_item(id, found)?;
        match task.claim {
            // The answer to the claim was lost.
            Some(claim) if claim.token == token => return Ok(Some(Held { ledger, task, token, clock })),
            Some(claim) if clock.now() < claim.until => {
                if seen.is_some_and(|seen| seen != claim) {
                    return Ok(None);
                }
                seen = Some(claim);
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Some(_) | None => {
                let claim = item::claim(&config.tables, &task, token, clock.now());
                if let Written::Done(Some(claimed)) = store.update(claim).await? {
                    let task = Task::of_item(id, claimed)?;
                    return Ok(Some(Held { ledger, task, token, clock }));
                }
            }
        }
    }
    Err(RunError::Held)
}

impl Held<'_> {
    async fn work(&self, kind: &Kind) -> Result<(), StoreError> {
        let Ledger { store, config, .. } = self.ledger;
        let mut state = self.task.state.clone();
        let mut is_again = self.task.tries > 1;
        for done in 1..=MAX_PARTS {
            let progress = (kind.progress)(&state)?;
            // Also finds out whether the job still wants it done.
            if let Made::Refused(head) = self.step(&job::show(&self.task, progress)).await? {
                return self.let_go(head.as_deref()).await;
            }
            let now = self.clock.now();
            let context = TaskContext { ledger: self.ledger, task: &self.task, now, is_again };
            match (kind.step)(&context, &state).await? {
                StepOutcome::Done(output) => return self.finish(&output).await,
                StepOutcome::GoOn(next) => state = next,
            }
            let goes_on = done < MAX_PARTS && self.clock.is_time_left();
            let turn = if goes_on { Turn::Kept } else { Turn::PutBack };
            let advance =
                item::advance(&config.tables, self.task.id, self.token, &state, turn, self.clock.now());
            // Refused: this was slow for longer than its lease, and somebody else has taken over.
            if let (Written::Refused(_), _) | (_, false) = (store.update(advance).await?, goes_on) {
                return Ok(());
            }
            is_again = false;
        }
        Ok(())
    }

    /// Completes the job: writes its output first, then the head that names it, and then removes the task.
    async fn finish(&self, output: &Output) -> Result<(), StoreError> {
        let json = output.to_json().map_err(|error| StoreError::Refused(error.into()))?;
        let bytes = self.ledger.write_part(self.task.id, &job::part(&self.task), json).await?;
        let completed = job::complete(&self.task, bytes, self.clock.now());
        if let Made::Refused(head) = self.step(&completed).await? {
            return self.let_go(head.as_deref()).await;
        }
        self.audit("done", output.result.as_ref().map(|result| result.get()));
        self.remove().await
    }

    /// Makes a step of the job.
    async fn step(&self, step: &Step) -> Result<Made, StoreError> {
        make(self.ledger, self.task.id, step).await
    }

    /// The job does not run any more: it was called off or removed, or it was completed before.
    async fn let_go(&self, head: Option<&Head>) -> Result<(), StoreError> {
        if !head.is_some_and(|head| job::names_output(head, &self.task)) {
            self.drop_output().await?;
            self.audit("called_off", None);
        }
        self.remove().await
    }

    /// Fails the job of a task that does not get on.
    async fn give_up(&self) -> Result<(), StoreError> {
        let Task { id, kind, owner, by, .. } = &self.task;
        let message = format!(
            "the work stopped {MAX_TRIES} times at the same place and was given up; what was done until then stays done: \
             ask for it again"
        );
        let failed = job::fail(&self.task, message, self.clock.now());
        if let Made::Refused(head) = self.step(&failed).await? {
            return self.let_go(head.as_deref()).await;
        }
        tracing::error!(task = kind, %id, %owner, key_id = by.as_str(), "a task was given up");
        self.audit("given_up", None);
        self.drop_output().await?;
        self.remove().await
    }

    /// Tells the end of what somebody asked for: under the id of the job, which the line of the beginning has, too.
    fn audit(&self, end: &str, result: Option<&str>) {
        let Task { id, kind, owner, by, .. } = &self.task;
        Audit {
            action: &format!("{kind}.{end}"),
            subject: &id.to_string(),
            owner: Some(owner),
            detail: result,
            key_id: Some(by.as_str()),
            key_owner: None,
            request_id: None,
            source_ip: None,
        }
        .log();
    }

    async fn drop_output(&self) -> Result<(), StoreError> {
        let tables = &self.ledger.config.tables;
        let plan = plans::delete_part(tables, self.task.id, &job::part(&self.task));
        self.ledger.store.delete(plan).await.map(drop)
    }

    /// If the store refuses, another invocation has the task now, and will find that there is nothing to do.
    async fn remove(&self) -> Result<(), StoreError> {
        let plan = item::remove(&self.ledger.config.tables, self.task.id, self.token);
        self.ledger.store.delete(plan).await.map(drop)
    }
}
