//! The ways in which a queued job waits, and the words that a list is filtered by.
//!
//! Becoming due writes nothing, so the ways are told by the time of the question.

use std::collections::BTreeSet;

use super::{Invalid, Job, Status, StatusInput, Timestamp};

/// How a queued job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// A worker may claim it.
    Due,
    /// It is not due yet, and no attempt has begun.
    Scheduled,
    /// It is not due yet, and waits for another attempt.
    Retrying,
}

/// The meaning of a word for a status, as a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusWord {
    /// The status.
    pub status: Status,
    /// If it is queued, the ways of waiting; empty: the word means all of them.
    pub waits: BTreeSet<Wait>,
}

/// The words for queued jobs that wait in some ways only: our own, and those of `BullMQ`, Oban, River, Sidekiq, Hangfire, Celery
/// and Airflow.
const WORDS: [(&str, &[Wait]); 10] = [
    ("due", &[Wait::Due]),
    ("available", &[Wait::Due]),
    ("waiting", &[Wait::Due]),
    ("enqueued", &[Wait::Due]),
    ("scheduled", &[Wait::Scheduled]),
    ("retrying", &[Wait::Retrying]),
    ("retryable", &[Wait::Retrying]),
    ("retry", &[Wait::Retrying]),
    ("up_for_retry", &[Wait::Retrying]),
    ("delayed", &[Wait::Scheduled, Wait::Retrying]),
];
/// Words that say more than a list can be filtered by, and the filter to use.
const REFUSED: [(&str, &str); 3] = [
    ("prioritized", "due, together with the filter priority"),
    ("transcoding", "running"),
    ("uploading", "running"),
];

impl Wait {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Due, Self::Scheduled, Self::Retrying];

    /// How a job waits at that time; `None`: it is not queued.
    pub fn of(job: &Job, at: Timestamp) -> Option<Self> {
        let due = job.state.available_at()?;
        Some(match job.attempt {
            _ if due <= at => Self::Due,
            0 => Self::Scheduled,
            _ => Self::Retrying,
        })
    }

    /// When a job is due that was not due when it was last changed, and how it waits until then.
    pub fn planned(job: &Job) -> Option<(Timestamp, Self)> {
        let wait = Self::of(job, job.updated_at).filter(|wait| *wait != Self::Due)?;
        Some((job.state.available_at()?, wait))
    }

    /// The word that is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
        }
    }
}

impl TryFrom<&str> for StatusWord {
    type Error = Invalid;

    /// Reads a word of a filter. A word that means less than its status finds only these jobs, or is refused.
    fn try_from(word: &str) -> Result<Self, Invalid> {
        let small = word.to_ascii_lowercase();
        if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == small) {
            return Err(Invalid(format!("cannot be {small} in a filter; use {instead}")));
        }
        let meant = WORDS.iter().find(|(known, _)| *known == small);
        if let Some((_, waits)) = meant {
            return Ok(Self { status: Status::Queued, waits: waits.iter().copied().collect() });
        }
        let StatusInput { status, .. } = StatusInput::try_from(word)?;
        Ok(Self { status, waits: BTreeSet::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expect: Option<(Status, &[Wait])>) {
        let expect = expect.map(|(status, waits)| (status, waits.iter().copied().collect()));
        let found = StatusWord::try_from(word).ok().map(|found| (found.status, found.waits));
        assert_eq!(found, expect, "{word}");
    }

    #[test]
    fn a_word_finds_what_it_says_or_is_refused() {
        use Wait::{Due, Retrying, Scheduled};
        check("queued", Some((Status::Queued, &[])));
        check("PENDING", Some((Status::Queued, &[])));
        check("due", Some((Status::Queued, &[Due])));
        check("Available", Some((Status::Queued, &[Due])));
        check("scheduled", Some((Status::Queued, &[Scheduled])));
        check("retryable", Some((Status::Queued, &[Retrying])));
        check("delayed", Some((Status::Queued, &[Scheduled, Retrying])));
        check("processing", Some((Status::Running, &[])));
        check("SUCCESS", Some((Status::Completed, &[])));
        for refused in ["prioritized", "transcoding", "Uploading", "blocked", ""] {
            check(refused, None);
        }
    }

    #[test]
    fn every_word_of_a_filter_is_documented() {
        let documented = include_str!("../../../docs/api.md");
        let (_, filters) = documented.split_once("\n## Filters\n").unwrap();
        let (filters, _) = filters.split_once("\n## ").unwrap();
        for word in WORDS.iter().map(|(word, _)| word).chain(REFUSED.iter().map(|(word, _)| word)) {
            assert!(filters.contains(&format!("`{word}`")), "docs/api.md does not list {word}");
        }
    }
}
