//! A job: what every list and transition needs of it. Its payload and results are [`super::parts`].

use super::{
    ExternalId, Fingerprint, JobId, JobName, Labels, MicroDollars, Owner, Phase, Progress, Status, Timestamp,
    TraceId, TypeName,
};

/// A job, without its payload and results.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// What kind of work it is: `type` outside Rust.
    pub kind: TypeName,
    /// What its caller calls it.
    pub external_id: Option<ExternalId>,
    /// Its name for people.
    pub name: Option<JobName>,
    /// 0 (lowest) to 10.
    pub priority: u8,
    /// What it is told apart by.
    pub labels: Labels,
    /// When it came to be.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many tries have begun.
    pub attempt: u32,
    /// How many tries it may have.
    pub max_attempts: u32,
    /// How long one try may take.
    pub timeout_seconds: Option<u32>,
    /// What it cost.
    pub cost: Option<MicroDollars>,
    /// The trace that it came from.
    pub trace_id: Option<TraceId>,
    /// How far it is, as was last said; `None`: nobody said, or it is a row of an index, which has none.
    pub progress: Option<Progress>,
    /// Bytes of its input and output as they are stored, packed or not, without the head; 0 in a row of an index.
    pub bytes: u64,
    /// Where it stands.
    pub state: State,
}

/// Where a job stands, with what is only true there.
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
        /// A finer word for what happens.
        phase: Option<Phase>,
    },
    /// Done.
    Completed(Ended),
    /// Given up.
    Failed(Ended, JobError),
    /// Called off.
    Cancelled(Ended),
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
    /// What went wrong, for people.
    pub message: String,
    /// At which task it went wrong.
    pub failed_task: Option<String>,
}

/// Most characters of an error's message or failed task.
pub const MAX_ERROR_CHARS: usize = 500;

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
    /// Where it stands, in a word.
    pub const fn status(&self) -> Status {
        self.state.status()
    }

    /// How far it is: by its status where that settles it, else as was last said.
    pub fn shown_progress(&self) -> Progress {
        match self.status() {
            Status::Queued => Progress::default(),
            Status::Completed => Progress::DONE,
            Status::Running | Status::Failed | Status::Cancelled => self.progress.clone().unwrap_or_default(),
        }
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
    /// What its creator said: tells a repetition from another request.
    pub fingerprint: Fingerprint,
    /// Which call wrote it: tells a write that is sent again from another one that says the same.
    pub written_by: uuid::Uuid,
    /// How long it is kept after its end, in hours.
    pub ttl_hours: u16,
    /// Which `input` item is its own; `None`: neither payload nor metadata.
    pub input: Option<uuid::Uuid>,
    /// Which `output` item is its own; `None`: no results yet.
    pub output: Option<uuid::Uuid>,
}

impl Head {
    /// Whether both come from one and the same request: a write whose answer was lost is sent again by the SDK, and
    /// must not take its own first try for somebody else's.
    pub fn is_same_write(&self, other: &Self) -> bool {
        self.written_by == other.written_by && self.fingerprint == other.fingerprint
    }
}
