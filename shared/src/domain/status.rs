//! The status table: the meaning of each status, the actor that moves it, and where it ends.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Invalid;

/// The status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Waits for a worker; set on creation, by a retry, and when a try failed while tries are left.
    Queued,
    /// A worker has it; set by a claim, or by the report of an outside engine.
    Running,
    /// Done, with a result; set by the worker. Final.
    Completed,
    /// Given up after its last try; set by the worker or the reaper. A retry queues it again.
    Failed,
    /// Called off; set by a caller. A retry queues it again.
    Cancelled,
}

impl Status {
    /// Every status, in the order in which a job may pass through them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word that is stored, sent and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The statuses that may come next: the whole table.
    pub const fn steps(self) -> &'static [Self] {
        match self {
            Self::Queued => &[Self::Running, Self::Cancelled],
            Self::Running => &[Self::Queued, Self::Completed, Self::Failed, Self::Cancelled],
            Self::Completed => &[],
            Self::Failed | Self::Cancelled => &[Self::Queued],
        }
    }

    /// Whether one step leads there.
    pub fn may_become(self, next: Self) -> bool {
        self.steps().contains(&next)
    }

    /// From where one step leads here: the guard of a transition.
    pub fn sources(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |status| status.may_become(self))
    }

    /// Whether some number of steps leads there: a source that reports now and then may have seen that happen.
    pub fn reaches(self, later: Self) -> bool {
        let mut seen = vec![self];
        let mut next = 0;
        while let Some(status) = seen.get(next).copied() {
            next += 1;
            for step in status.steps() {
                if !seen.contains(step) {
                    seen.push(*step);
                }
            }
        }
        seen.contains(&later)
    }

    /// Whether a job is as far as was last said. A queued one is at its beginning and a completed one at its end,
    /// whatever the last report said.
    pub const fn keeps_progress(self) -> bool {
        match self {
            Self::Queued | Self::Completed => false,
            Self::Running | Self::Failed | Self::Cancelled => true,
        }
    }

    /// Whether the job has ended: its time to live runs.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl TryFrom<&str> for Status {
    type Error = Invalid;

    /// Only the words that are stored; callers may say the words of [`StatusInput`].
    fn try_from(word: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| Invalid::new("must be queued, running, completed, failed or cancelled"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A status as callers say it: with the words of older services, whose finer ones are kept as a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusInput {
    /// The status that is meant.
    pub status: Status,
    /// The finer word for `running`, where one was said.
    pub phase: Option<&'static str>,
}

/// Other systems' words for a status, where they can mean only one: those of River, Oban, `BullMQ`, Temporal, Airflow, Celery,
/// Sidekiq and others, in small letters. The finer words of older services come with a phase.
const ALIASES: [(Status, &[&str]); 5] = [
    (
        Status::Queued,
        &[
            "pending",
            "available",
            "scheduled",
            "retryable",
            "waiting",
            "delayed",
            "prioritized",
            "enqueued",
            "retry",
            "up_for_retry",
        ],
    ),
    (
        Status::Running,
        &["processing", "transcoding", "uploading", "active", "executing", "in_progress", "started"],
    ),
    (Status::Completed, &["complete", "success", "succeeded", "successful", "done", "finished"]),
    (Status::Failed, &["failure", "error", "errored", "discarded", "timed_out"]),
    (Status::Cancelled, &["canceled", "terminated", "aborted", "revoked"]),
];
/// The words that say more than their status does.
const PHASES: [&str; 3] = ["processing", "transcoding", "uploading"];

impl TryFrom<&str> for StatusInput {
    type Error = Invalid;

    /// The case of letters does not matter: Airflow, AWS Batch and Celery write `SUCCESS`, Temporal `Completed`.
    fn try_from(word: &str) -> Result<Self, Invalid> {
        let word = word.to_ascii_lowercase();
        let word = word.as_str();
        let meant = ALIASES.iter().find(|(_, words)| words.contains(&word));
        let status = meant.map_or_else(|| Status::try_from(word), |(status, _)| Ok(*status));
        let status = status.map_err(|Invalid(message)| {
            Invalid(format!(
                "{message}, or another system's word for one of them: docs/api.md lists them under \"A job\""
            ))
        })?;
        Ok(Self { status, phase: PHASES.into_iter().find(|phase| *phase == word) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_contracts() {
        use Status::{Cancelled, Completed, Failed, Queued, Running};
        let legal = [
            (Queued, Running),
            (Queued, Cancelled),
            (Running, Completed),
            (Running, Failed),
            (Running, Cancelled),
            (Running, Queued),
            (Failed, Queued),
            (Cancelled, Queued),
        ];
        for from in Status::ALL {
            for to in Status::ALL {
                assert_eq!(from.may_become(to), legal.contains(&(from, to)), "{from} -> {to}");
            }
        }
        assert_eq!(Cancelled.sources().collect::<Vec<_>>(), [Queued, Running]);
    }

    #[test]
    fn only_completed_is_final() {
        for from in Status::ALL {
            for to in Status::ALL {
                assert_eq!(from.reaches(to), from != Status::Completed || to == from, "{from} ..> {to}");
            }
        }
    }

    #[test]
    fn older_words_are_understood() {
        let check = |word, status, phase| {
            assert_eq!(StatusInput::try_from(word), Ok(StatusInput { status, phase }), "{word}");
        };
        check("pending", Status::Queued, None);
        check("retryable", Status::Queued, None);
        check("transcoding", Status::Running, Some("transcoding"));
        check("active", Status::Running, None);
        check("succeeded", Status::Completed, None);
        check("discarded", Status::Failed, None);
        check("canceled", Status::Cancelled, None);
        check("SUCCESS", Status::Completed, None);
        check("Completed", Status::Completed, None);
        check("UP_FOR_RETRY", Status::Queued, None);
        check("Transcoding", Status::Running, Some("transcoding"));
        for bad in ["", "\u{212a}illed", "gone", "queued ", "created", "deferred", "skipped", "paused"] {
            let Invalid(message) = StatusInput::try_from(bad).unwrap_err();
            assert!(Status::ALL.iter().all(|status| message.contains(status.as_str())), "{message}");
            assert!(message.contains("docs/api.md"), "{message}");
        }
    }

    #[test]
    fn each_word_means_one_status() {
        let mut words: Vec<&str> = ALIASES.iter().flat_map(|(_, words)| words.iter().copied()).collect();
        words.extend(Status::ALL.map(Status::as_str));
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
        // Every word that is understood is documented.
        let documented = include_str!("../../../docs/api.md");
        for word in words {
            assert!(documented.contains(&format!("`{word}`")), "docs/api.md does not list {word}");
        }
        assert!(PHASES.iter().all(|word| StatusInput::try_from(*word).is_ok()));
    }
}
