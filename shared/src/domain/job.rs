//! A job: the data that every list and transition needs of it. Its payload and results are [`super::parts`].

use super::{
    ErrorCode, ExternalId, Fingerprint, JobId, JobName, Labels, LeaseToken, MicroDollars, Owner, Percent,
    Phase, Progress, Status, Timestamp, TraceId, TypeName, WorkerId, spelling,
};

/// A job, without its payload and results.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// The kind of work: `type` outside Rust.
    pub kind: TypeName,
    /// The caller's own id for it.
    pub external_id: Option<ExternalId>,
    /// Its name for people.
    pub name: Option<JobName>,
    /// 0 (lowest) to 10.
    pub priority: u8,
    /// The labels that it is told apart by.
    pub labels: Labels,
    /// When it came to be.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many tries have begun.
    pub attempt: u32,
    /// How many tries it may have.
    pub max_attempts: u32,
    /// How many tries failed, took too long, or lost their lease; a row of an index has 0. The wait before the next try
    /// goes by it, so tries that were handed back or cancelled do not lengthen it.
    pub failures: u32,
    /// How many tries in a row ended without a report that their worker had promised; a row of an index has 0.
    pub unheard: u32,
    /// How long one try may take.
    pub timeout_seconds: Option<u32>,
    /// Its cost.
    pub cost: Option<MicroDollars>,
    /// The trace that it came from.
    pub trace_id: Option<TraceId>,
    /// How far it is, as was last said; `None`: nobody said, or it is a row of an index, which has none.
    pub progress: Option<Progress>,
    /// The holder of its attempt, or of the last one; `None`: nobody claimed it since it was queued, or it is a row of
    /// an index.
    pub holder: Option<Holder>,
    /// The last try that ended before the job was queued again; `None`: there was none, or it is a row of an index.
    pub last_try: Option<Try>,
    /// Its place among the jobs that are due at the same time; `None`: its id decides, or it is a row of an index.
    pub arrival: Option<Arrival>,
    /// Bytes of its input and output as they are stored, packed or not, without the head; 0 in a row of an index.
    pub bytes: u64,
    /// The state that it is in.
    pub state: State,
}

/// The status of a job, with the data that is only true there.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Waits for a worker.
    Queued {
        /// From when on it may be claimed.
        available_at: Timestamp,
    },
    /// A worker has it.
    Running {
        /// When this try began.
        started_at: Timestamp,
        /// A finer word for the present step.
        phase: Option<Phase>,
        /// The lease of its holder; `None`: its worker only reports, or it is a row of an index.
        lease: Option<Lease>,
    },
    /// Done.
    Completed(Ended),
    /// Given up.
    Failed(Ended, JobError),
    /// Called off.
    Cancelled(Ended),
}

/// When and in which order waiting jobs came. Jobs that are due at the same time go in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// The time of the call that brought it.
    pub at: Timestamp,
    /// Its line in that call.
    pub line: u32,
}

/// The worker that has an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The worker's own name.
    pub worker: WorkerId,
    /// The token that it shows to report.
    pub token: LeaseToken,
}

/// The lease that keeps a running job from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Until when, if nothing is reported.
    pub until: Timestamp,
    /// Whether the job is counted among those of its type that run.
    pub holds_slot: bool,
    /// Whether the holder promised a report before it begins, and has sent none yet.
    pub unacknowledged: bool,
}

/// A try that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which one, from 1.
    pub number: u32,
    /// The worker that had it; `None`: the program that reported it did not claim it.
    pub worker: Option<WorkerId>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it failed; `None`: it did not, or was called off.
    pub error: Option<JobError>,
}

/// How a job's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When its last try began; `None` where there was none.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Timestamp,
    /// When it is removed; `None`: kept until somebody deletes it.
    pub expires_at: Option<Timestamp>,
}

/// Why a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobError {
    /// The error, for people.
    pub message: String,
    /// At which task it went wrong.
    pub failed_task: Option<String>,
    /// The same for programs.
    pub code: Option<ErrorCode>,
}

/// Most characters of an error's message or failed task.
const MAX_ERROR_CHARS: usize = 500;

/// The message of an error without one.
const NO_MESSAGE: &str = "an error without a message";

impl JobError {
    /// An error as somebody told it. Its texts are cut to 500 characters; a message that is missing is filled in. A
    /// code that is no word stands before the message.
    pub fn told(message: String, failed_task: Option<String>, code: Option<String>) -> Self {
        let message = if message.is_empty() { NO_MESSAGE.to_owned() } else { message };
        let (code, message) = match code.map(|word| (ErrorCode::try_from(word.as_str()).ok(), word)) {
            Some((None, word)) if !word.is_empty() => (None, format!("{word}: {message}")),
            Some((code, _)) => (code, message),
            None => (None, message),
        };
        let cut = |text| spelling::cut(text, MAX_ERROR_CHARS);
        let failed_task = failed_task.filter(|task| !task.is_empty()).map(cut);
        Self { message: cut(message), failed_task, code }
    }
}

impl State {
    /// The status that this state is one of.
    pub const fn status(&self) -> Status {
        match self {
            Self::Queued { .. } => Status::Queued,
            Self::Running { .. } => Status::Running,
            Self::Completed(_) => Status::Completed,
            Self::Failed(..) => Status::Failed,
            Self::Cancelled(_) => Status::Cancelled,
        }
    }

    /// How it ended, if it did.
    pub const fn ended(&self) -> Option<&Ended> {
        match self {
            Self::Queued { .. } | Self::Running { .. } => None,
            Self::Completed(ended) | Self::Failed(ended, _) | Self::Cancelled(ended) => Some(ended),
        }
    }

    /// From when on the job may be claimed, if it waits.
    pub const fn available_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { available_at } => Some(*available_at),
            Self::Running { .. } | Self::Completed(_) | Self::Failed(..) | Self::Cancelled(_) => None,
        }
    }

    /// When its last or present try began.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued { .. } => None,
            Self::Running { started_at, .. } => Some(*started_at),
            Self::Completed(ended) | Self::Failed(ended, _) | Self::Cancelled(ended) => ended.started_at,
        }
    }
}

impl Job {
    /// Its status, in a word.
    pub const fn status(&self) -> Status {
        self.state.status()
    }

    /// Whether it waits, and may be claimed at this time.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state.available_at().is_some_and(|due| due <= now)
    }

    /// How far it is: by its status where that settles it, else as was last said.
    pub fn shown_progress(&self) -> Progress {
        match self.status() {
            Status::Queued => Progress::default(),
            Status::Completed => Progress::DONE,
            Status::Running | Status::Failed | Status::Cancelled => self.progress.clone().unwrap_or_default(),
        }
    }

    /// The lease that it is held by.
    pub const fn lease(&self) -> Option<Lease> {
        match self.state {
            State::Running { lease, .. } => lease,
            State::Queued { .. } | State::Completed(_) | State::Failed(..) | State::Cancelled(_) => None,
        }
    }

    /// The worker that holds it under a lease.
    pub fn held_by(&self) -> Option<&WorkerId> {
        self.holder.as_ref().filter(|_| self.lease().is_some()).map(|holder| &holder.worker)
    }

    /// The error of the last attempt that ended, if the job waits for another attempt or has begun it.
    pub fn last_error(&self) -> Option<&JobError> {
        self.last_try.as_ref().filter(|_| self.state.ended().is_none())?.error.as_ref()
    }

    /// Whether it holds a slot of its type.
    pub fn holds_slot(&self) -> bool {
        self.lease().is_some_and(|lease| lease.holds_slot)
    }

    /// Whether its present try, or the last one, was given to the holder of this token.
    pub fn was_given(&self, token: &LeaseToken) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.token == *token)
    }

    /// Whether the holder of this token holds it now.
    pub fn is_held_by(&self, token: &LeaseToken, now: Timestamp) -> bool {
        self.was_given(token) && self.lease().is_some_and(|lease| lease.until >= now)
    }

    /// The try that ended last, where the job itself still tells: it has ended, and there was one.
    pub fn ended_try(&self) -> Option<Try> {
        let ended = self.state.ended()?;
        let error = match &self.state {
            State::Failed(_, error) => Some(error.clone()),
            State::Queued { .. } | State::Running { .. } | State::Completed(_) | State::Cancelled(_) => None,
        };
        self.tried(ended.started_at?, ended.completed_at, error)
    }

    /// The present try, if it ended then and for this reason; `None`: the job does not run.
    pub(super) fn present_try(&self, ended_at: Timestamp, error: JobError) -> Option<Try> {
        let State::Running { started_at, .. } = self.state else { return None };
        self.tried(started_at, ended_at, Some(error))
    }

    fn tried(&self, started_at: Timestamp, ended_at: Timestamp, error: Option<JobError>) -> Option<Try> {
        let worker = self.holder.as_ref().map(|holder| holder.worker.clone());
        (self.attempt > 0).then_some(Try { number: self.attempt, worker, started_at, ended_at, error })
    }

    /// How long its try is going to take yet, in milliseconds: by how far it came in the time that it has run, else by how
    /// long jobs of its type run in the mean; `None`: it does not run, or there is nothing to tell it by.
    pub fn left_ms(&self, now: Timestamp, mean_run_ms: Option<u64>) -> Option<u64> {
        let State::Running { started_at, .. } = self.state else { return None };
        let ran_ms = now.since(started_at);
        let overall = self.progress.as_ref().map_or(0, |progress| progress.overall_progress.hundredths());
        let to_go = Percent::FULL.hundredths().saturating_sub(overall);
        match ran_ms.saturating_mul(u64::from(to_go)).checked_div(u64::from(overall)) {
            Some(left_ms) => Some(left_ms),
            // If a job has run longer than the mean, nothing is left to tell the rest by.
            None => mean_run_ms.and_then(|mean_ms| mean_ms.checked_sub(ran_ms)),
        }
    }

    /// Whether it runs and nothing but the mean of its type tells how long it is going to take: nobody said yet that it came
    /// any further.
    pub fn is_unmeasured(&self) -> bool {
        let overall = self.progress.as_ref().map_or(0, |progress| progress.overall_progress.hundredths());
        self.status() == Status::Running && overall == 0
    }

    /// How long its last try ran, in milliseconds, once it ended.
    pub fn duration_ms(&self) -> Option<u64> {
        let ended = self.state.ended()?;
        Some(ended.completed_at.since(ended.started_at?))
    }
}

/// A job, and what only the store and those who write need to know of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The job.
    pub job: Job,
    /// Which part of each index it is in; given at creation and kept.
    pub shard: u16,
    /// The hash of its creator's request: tells a repetition from another request.
    pub fingerprint: Fingerprint,
    /// Which call wrote it: tells a write that is sent again from another one that says the same.
    pub written_by: uuid::Uuid,
    /// How long it is kept after its end, in hours.
    pub ttl_hours: u16,
    /// Which `input` item is its own; `None`: neither payload nor metadata.
    pub input: Option<uuid::Uuid>,
    /// Which `output` item is its own; `None`: no results yet.
    pub output: Option<uuid::Uuid>,
    /// The report that ended its last try, hashed: tells a repetition from another report.
    pub report: Option<Fingerprint>,
    /// Which bulk job changed it last.
    pub changed_by: Option<JobId>,
    /// Which call queued it again last: tells a retry that is sent again from another one of the same millisecond.
    pub retried_by: Option<uuid::Uuid>,
}

impl Head {
    /// Gives a job that waits its place behind those that came before. One that waited already keeps its place.
    pub fn arrive(&mut self, before: Option<&Self>, arrival: Arrival) {
        let waits = |head: &Self| head.job.status() == Status::Queued;
        self.job.arrival = match before.filter(|before| waits(before)) {
            _ if !waits(self) => None,
            Some(before) => before.job.arrival,
            None => Some(arrival),
        };
    }

    /// Whether both come from one and the same request: a write whose answer was lost is sent again by the SDK, and
    /// must not take its own first try for somebody else's.
    pub fn is_same_write(&self, other: &Self) -> bool {
        self.written_by == other.written_by && self.fingerprint == other.fingerprint
    }
}
