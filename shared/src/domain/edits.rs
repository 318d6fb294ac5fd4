//! The values of a job that its caller may change after its creation.

use super::{Invalid, Job, JobName, Json, LabelChanges, State, Status, Timestamp};

/// New values. A field that is absent stays as it is.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// The new priority.
    pub priority: Option<u8>,
    /// The new name.
    pub name: Option<JobName>,
    /// The labels that change.
    pub labels: Option<LabelChanges>,
    /// The new metadata.
    pub metadata: Option<Json>,
    /// The new payload, of a job that waits.
    pub payload: Option<Json>,
    /// From when on a job that waits may be claimed. A time that is over means now.
    pub available_at: Option<Timestamp>,
    /// How many attempts the job may have.
    pub max_attempts: Option<u32>,
    /// How long its next attempts may take; `None` inside: as the type says.
    pub timeout_seconds: Option<Option<u32>>,
}

/// Why a job cannot have these values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Only a job that waits has another value of this field.
    NotWaiting(&'static str),
    /// So many attempts are the fewest that it can have.
    TooFewAttempts(u32),
    /// Its labels would be more than may be.
    Labels(Invalid),
}

impl Edits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let Self { priority, name, labels, metadata, payload, available_at, max_attempts, timeout_seconds } =
            self;
        priority.is_none()
            && name.is_none()
            && labels.is_none()
            && metadata.is_none()
            && payload.is_none()
            && available_at.is_none()
            && max_attempts.is_none()
            && timeout_seconds.is_none()
    }

    /// Whether a part of the job changes.
    pub fn changes_input(&self) -> bool {
        self.metadata.is_some() || self.payload.is_some()
    }

    /// Refuses values that the job cannot have once it is in this status.
    pub(super) fn check(&self, job: &Job, next: Status) -> Result<(), Misfit> {
        let waits = next == Status::Queued;
        if self.payload.is_some() && !waits {
            return Err(Misfit::NotWaiting("payload"));
        }
        if self.available_at.is_some() && !waits {
            return Err(Misfit::NotWaiting("available_at"));
        }
        let begins = next == Status::Running && job.status() != Status::Running;
        let least = job.attempt.saturating_add((waits || begins).into()).max(1);
        if self.max_attempts.is_some_and(|max_attempts| max_attempts < least) {
            return Err(Misfit::TooFewAttempts(least));
        }
        match &self.labels {
            Some(changes) => job.labels.after(changes).map(drop).map_err(Misfit::Labels),
            None => Ok(()),
        }
    }

    /// Gives the job the values that it has in any status. The edits must be some that [`Self::check`] allows.
    pub(super) fn apply(&self, job: &mut Job) {
        if let Some(priority) = self.priority {
            job.priority = priority;
        }
        if let Some(name) = &self.name {
            job.name = Some(name.clone());
        }
        if let Some(labels) = self.labels.as_ref().and_then(|changes| job.labels.after(changes).ok()) {
            job.labels = labels;
        }
        if let Some(max_attempts) = self.max_attempts {
            job.max_attempts = max_attempts;
        }
        if let Some(timeout_seconds) = self.timeout_seconds {
            job.timeout_seconds = timeout_seconds;
        }
    }

    /// Makes a job that waits wait until the time that is said.
    pub(super) fn put_off(&self, job: &mut Job, now: Timestamp) {
        if let (Some(due), State::Queued { available_at }) = (self.available_at, &mut job.state) {
            *available_at = due.max(now);
        }
    }
}
