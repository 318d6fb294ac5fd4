//! A step of a job as a value: the conditions that it needs, and the changes that it makes to the head.
//!
//! A step exists once. [`Step::apply`] is its meaning for a head that was read; the store prints the same value as an
//! update expression for a head that was not.

use uuid::Uuid;

use super::{
    Ended, Fingerprint, Head, Holder, JobError, JobId, Lease, LeaseToken, MicroDollars, Owner, Percent,
    Progress, ReportedProgress, State, Status, Timestamp,
};

/// A condition on a head.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// The job is this owner's.
    OwnedBy(Owner),
    /// The job is in one of these statuses.
    StatusIn(Vec<Status>),
    /// So many attempts have begun.
    Attempt(u32),
    /// The job has this priority.
    Priority(u8),
    /// The job may have so many attempts.
    MaxAttempts(u32),
    /// Whether the head tells when an attempt began: the present one, or the last one of a job that has ended.
    WasTried(bool),
    /// The holder of this token holds the job at this time.
    HeldBy(LeaseToken, Timestamp),
    /// A lease holds the job, even if it is over.
    IsLeased,
    /// Whether the job holds a slot of its type.
    HoldsSlot(bool),
    /// The job has no output.
    HasNoOutput,
    /// This call created the job.
    WrittenBy(Uuid),
    /// The whole of the job is not further than this.
    OverallAtMost(Percent),
    /// The job was created before this time.
    CreatedBefore(Timestamp),
    /// Another bulk job changed the job last, or none did.
    NotChangedBy(JobId),
}

/// A change of a head.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The job waits. Its place in the queue comes from its priority, which must be the one that it has.
    Wait {
        /// From when on it may be claimed.
        available_at: Timestamp,
        /// Its priority.
        priority: u8,
    },
    /// The job runs.
    Run {
        /// When the attempt began.
        started_at: Timestamp,
        /// The lease that holds it; `None`: its worker only reports.
        lease: Option<Lease>,
    },
    /// The job ends at this time. Its time to live begins.
    End(End, Timestamp),
    /// So many attempts have begun.
    Attempt(u32),
    /// The job may have so many attempts.
    MaxAttempts(u32),
    /// So many attempts failed.
    Failures(u32),
    /// This worker holds the job, or none does.
    Holder(Option<Holder>),
    /// The lease ends at this time.
    LeaseUntil(Timestamp),
    /// The holder has reported.
    Acknowledge,
    /// So many tries in a row ended without a report that was promised.
    Unheard(u32),
    /// The job holds a slot of its type.
    TakeSlot,
    /// The present attempt, or the one that ended the job, is kept as the last one.
    KeepTry(EndOfTry),
    /// The job is so far; `None`: nothing is said of that.
    Progress(Option<Progress>),
    /// The job is as far as this report says.
    Say(ReportedProgress),
    /// This report ended the attempt.
    Report(Fingerprint),
    /// The job cost this.
    Cost(MicroDollars),
    /// The job has an output.
    Output {
        /// The name of the output.
        name: Uuid,
        /// How many bytes it adds.
        bytes: u64,
    },
    /// This bulk job changed the job.
    ChangedBy(JobId),
    /// This call queues the job again.
    RetriedBy(Uuid),
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// It is done.
    Completed,
    /// It is given up.
    Failed(JobError),
    /// It is called off.
    Cancelled,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum EndOfTry {
    /// As the head says: the job has ended.
    AsTheJob,
    /// At this time, for this reason: the job runs.
    At(Timestamp, JobError),
}

/// A bulk job's mark: it changes jobs that are older than itself, and each of them once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The bulk job.
    pub bulk: JobId,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A step: all of its changes, if all of its conditions hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The conditions.
    pub when: Vec<When>,
    /// The changes.
    pub changes: Vec<Change>,
    /// The new `updated_at`, which must be later than the stored one. `None`: the step leaves it as it is.
    ///
    /// Two changes of a head never have the same time, because the time tells whether a head has changed. So a step
    /// whose time is not later is refused, and is made again a millisecond after the stored time ([`Step::after`]).
    pub at: Option<Timestamp>,
}

impl Step {
    /// A step from one of these statuses.
    pub(super) fn new(
        from: impl IntoIterator<Item = Status>,
        changes: Vec<Change>,
        at: Option<Timestamp>,
    ) -> Self {
        Self { when: vec![When::StatusIn(from.into_iter().collect())], changes, at }
    }

    /// The same step on one more condition.
    #[must_use]
    pub fn only(mut self, when: When) -> Self {
        self.when.push(when);
        self
    }

    /// The same step of this owner's jobs only.
    #[must_use]
    pub fn of(self, owner: &Owner) -> Self {
        self.only(When::OwnedBy(owner.clone()))
    }

    /// The same step with one more change.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// The same step by a bulk job, if there is one. The job knows its own changes by the mark.
    #[must_use]
    pub fn by(self, mark: Option<Mark>) -> Self {
        let Some(Mark { bulk, .. }) = mark else { return self };
        self.older_than(mark).only(When::NotChangedBy(bulk)).with(Change::ChangedBy(bulk))
    }

    /// The same step of jobs that are older than the bulk job, if there is one.
    #[must_use]
    pub fn older_than(self, mark: Option<Mark>) -> Self {
        match mark {
            Some(Mark { created_at, .. }) => self.only(When::CreatedBefore(created_at)),
            None => self,
        }
    }

    /// The same step, later than the last change of this head.
    #[must_use]
    pub fn after(self, head: &Head) -> Self {
        Self { at: self.at.map(|at| later(at, head)), ..self }
    }

    /// Whether all conditions hold, but for the time and for the slot: the two that a sender may have guessed.
    pub fn may_be_made_again(&self, head: &Head) -> bool {
        self.when.iter().all(|when| matches!(when, When::HoldsSlot(_)) || when.holds(head))
    }

    /// Whether the head was changed at the step's time or later.
    pub fn is_too_early(&self, head: &Head) -> bool {
        self.at.is_some_and(|at| at <= head.job.updated_at)
    }

    /// Whether all conditions hold.
    pub fn is_allowed(&self, head: &Head) -> bool {
        self.when.iter().all(|when| when.holds(head)) && !self.is_too_early(head)
    }

    /// The head after the step. The conditions are not asked.
    pub fn apply(&self, head: &Head) -> Head {
        let mut next = head.clone();
        if let Some(at) = self.at {
            next.job.updated_at = later(at, head);
        }
        for change in &self.changes {
            change.apply(head, &mut next);
        }
        next
    }
}

fn later(at: Timestamp, head: &Head) -> Timestamp {
    at.max(head.job.updated_at.plus_millis(1))
}

impl When {
    fn holds(&self, head: &Head) -> bool {
        let job = &head.job;
        match self {
            Self::OwnedBy(owner) => job.owner == *owner,
            Self::StatusIn(statuses) => statuses.contains(&job.status()),
            Self::Attempt(attempt) => job.attempt == *attempt,
            Self::Priority(priority) => job.priority == *priority,
            Self::MaxAttempts(max_attempts) => job.max_attempts == *max_attempts,
            Self::WasTried(was_tried) => job.state.started_at().is_some() == *was_tried,
            Self::HeldBy(token, now) => job.is_held_by(token, *now),
            Self::IsLeased => job.lease().is_some(),
            Self::HoldsSlot(holds_slot) => job.holds_slot() == *holds_slot,
            Self::HasNoOutput => head.output.is_none(),
            Self::WrittenBy(call) => head.written_by == *call,
            Self::OverallAtMost(share) => {
                job.progress.as_ref().is_some_and(|progress| progress.overall_progress <= *share)
            }
            Self::CreatedBefore(time) => job.created_at < *time,
            Self::NotChangedBy(bulk) => head.changed_by != Some(*bulk),
        }
    }
}

impl Change {
    /// Makes the change to `next`. It copies all values from the head as it was.
    fn apply(&self, head: &Head, next: &mut Head) {
        let job = &mut next.job;
        match self {
            Self::Wait { available_at, .. } => {
                job.state = State::Queued { available_at: *available_at };
                job.arrival = None;
            }
            Self::Run { started_at, lease } => {
                job.arrival = None;
                job.state = State::Running { started_at: *started_at, phase: None, lease: *lease };
            }
            Self::End(end, at) => {
                job.arrival = None;
                let ended = ended(head, *at);
                job.state = match end {
                    End::Completed => State::Completed(ended),
                    End::Failed(error) => State::Failed(ended, error.clone()),
                    End::Cancelled => State::Cancelled(ended),
                };
            }
            Self::Attempt(attempt) => job.attempt = *attempt,
            Self::MaxAttempts(max_attempts) => job.max_attempts = *max_attempts,
            Self::Failures(failures) => job.failures = *failures,
            Self::Holder(holder) => job.holder.clone_from(holder),
            Self::LeaseUntil(until) => change_lease(&mut job.state, |lease| lease.until = *until),
            Self::Acknowledge => change_lease(&mut job.state, |lease| lease.unacknowledged = false),
            Self::Unheard(unheard) => job.unheard = *unheard,
            Self::TakeSlot => change_lease(&mut job.state, |lease| lease.holds_slot = true),
            Self::KeepTry(end) => {
                let tried = match end {
                    EndOfTry::AsTheJob => head.job.ended_try(),
                    EndOfTry::At(at, error) => head.job.present_try(*at, error.clone()),
                };
                job.last_try = tried.or_else(|| head.job.last_try.clone());
            }
            Self::Progress(progress) => job.progress.clone_from(progress),
            Self::Say(said) => {
                if *said != ReportedProgress::default() {
                    job.progress = Some(job.progress.take().unwrap_or_default().after(said.clone()));
                }
            }
            Self::Report(report) => next.report = Some(*report),
            Self::Cost(cost) => job.cost = Some(*cost),
            Self::Output { name, bytes } => {
                job.bytes = job.bytes.saturating_add(*bytes);
                next.output = Some(*name);
            }
            Self::ChangedBy(bulk) => next.changed_by = Some(*bulk),
            Self::RetriedBy(call) => next.retried_by = Some(*call),
        }
    }
}

fn change_lease(state: &mut State, change: impl FnOnce(&mut Lease)) {
    if let State::Running { lease: Some(lease), .. } = state {
        change(lease);
    }
}

fn ended(head: &Head, at: Timestamp) -> Ended {
    Ended {
        started_at: head.job.state.started_at(),
        completed_at: at,
        // In seconds, as it is stored.
        expires_at: Some(Timestamp::from_millis(at.plus_hours(head.ttl_hours.into()).seconds_ceil() * 1_000)),
    }
}
