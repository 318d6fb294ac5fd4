//! A job as it was seen: as much of it as a retry needs.

use serde::{Deserialize, Serialize};

use super::{Job, JobId};

/// [`Seen`] as it is stored: an array.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SeenRow {
    Whole(JobId, u8, u32, u32, bool),
    /// From before tries were kept. A retry by it is refused where there was one, and the job read anew.
    Short(JobId, u8, u32, u32),
}

/// The data that a retry needs of the job as it was read. Stored as an array of its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SeenRow", into = "SeenRow")]
pub struct Seen {
    /// The job.
    pub id: JobId,
    /// Its priority.
    pub priority: u8,
    /// How many tries had begun.
    pub attempt: u32,
    /// How many it might have.
    pub max_attempts: u32,
    /// Whether a try of it ended that is not kept as an earlier one yet.
    pub was_tried: bool,
}

impl From<SeenRow> for Seen {
    fn from(row: SeenRow) -> Self {
        let (id, priority, attempt, max_attempts, was_tried) = match row {
            SeenRow::Whole(id, priority, attempt, max, was_tried) => (id, priority, attempt, max, was_tried),
            SeenRow::Short(id, priority, attempt, max) => (id, priority, attempt, max, false),
        };
        Self { id, priority, attempt, max_attempts, was_tried }
    }
}

impl From<Seen> for SeenRow {
    fn from(Seen { id, priority, attempt, max_attempts, was_tried }: Seen) -> Self {
        Self::Whole(id, priority, attempt, max_attempts, was_tried)
    }
}

impl From<&Job> for Seen {
    fn from(job: &Job) -> Self {
        let Job { id, priority, attempt, max_attempts, .. } = *job;
        let was_tried = job.state.ended().is_some_and(|ended| ended.started_at.is_some());
        Self { id, priority, attempt, max_attempts, was_tried }
    }
}
