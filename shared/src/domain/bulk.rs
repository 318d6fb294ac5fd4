//! One change to many jobs: which jobs it can be made to, and their outcomes.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Invalid, Percent, Status};

/// The action on each job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Call it off.
    Cancel,
    /// Queue it again.
    Retry,
    /// Remove it.
    Delete,
}

/// The outcomes of the jobs, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkNumbers {
    /// Jobs that were found: those of the next three together.
    pub matched: u64,
    /// Jobs that it was done to.
    pub changed: u64,
    /// Jobs that had moved on when their turn came.
    pub skipped: u64,
    /// Jobs that cannot be changed because of what is stored of them.
    pub failed: u64,
}

/// The outcome of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkOutcome {
    /// It was done.
    Changed,
    /// The job had moved on.
    Skipped,
    /// The job cannot be changed.
    Failed,
}

impl BulkAction {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Cancel, Self::Retry, Self::Delete];

    /// The word that is said, stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Delete => "delete",
        }
    }

    /// The word for jobs that it was done to.
    const fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Retry => "retried",
            Self::Delete => "deleted",
        }
    }

    /// In which statuses a job can be for it.
    pub fn sources(self) -> BTreeSet<Status> {
        match self {
            Self::Cancel => Status::Cancelled.sources().collect(),
            // Back to the queue leads also from `running`, but that is a worker's step and no retry.
            Self::Retry => Status::Queued.sources().filter(|status| status.is_ended()).collect(),
            // A job that lives is cancelled first.
            Self::Delete => Status::ALL.into_iter().collect(),
        }
    }

    /// Those of the statuses asked for (none: all) that a job can be in for it.
    pub fn wanted(self, asked: &BTreeSet<Status>) -> BTreeSet<Status> {
        let mut wanted = self.sources();
        wanted.retain(|status| asked.is_empty() || asked.contains(status));
        wanted
    }

    /// How far it is, for people: `cancelled 1,200 of 5,000`.
    pub fn task(self, numbers: &BulkNumbers, total: Option<u64>) -> String {
        let changed = grouped(numbers.changed);
        let done = self.done();
        match total {
            Some(total) => format!("{done} {changed} of {}", grouped(total.max(numbers.matched))),
            None => format!("{done} {changed}"),
        }
    }
}

impl TryFrom<&str> for BulkAction {
    type Error = Invalid;

    fn try_from(word: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.into_iter().find(|action| action.as_str() == word);
        found.ok_or_else(|| Invalid::new("must be cancel, retry or delete"))
    }
}

impl TryFrom<String> for BulkAction {
    type Error = Invalid;

    fn try_from(word: String) -> Result<Self, Invalid> {
        Self::try_from(word.as_str())
    }
}

impl fmt::Display for BulkAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl BulkNumbers {
    /// With one more job.
    pub fn add(&mut self, outcome: BulkOutcome) {
        self.matched += 1;
        match outcome {
            BulkOutcome::Changed => self.changed += 1,
            BulkOutcome::Skipped => self.skipped += 1,
            BulkOutcome::Failed => self.failed += 1,
        }
    }

    /// How much of the whole is done, in whole percent; under 100 until somebody says that it is all, and 0 while nobody
    /// knows how much that is.
    pub fn percent(&self, total: Option<u64>) -> Percent {
        let Some(total) = total else { return Percent::default() };
        let percent = self.matched.saturating_mul(100) / total.max(1);
        let hundredths = u16::try_from(percent.min(99) * 100).unwrap_or_default();
        Percent::try_from(hundredths).unwrap_or_default()
    }
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_takes_jobs_that_it_can_be_done_to() {
        use Status::{Cancelled, Completed, Failed, Queued, Running};
        let check = |action: BulkAction, asked: &[Status], expect: &[Status]| {
            let asked = asked.iter().copied().collect();
            assert_eq!(action.wanted(&asked), expect.iter().copied().collect(), "{action} {asked:?}");
        };
        check(BulkAction::Cancel, &[], &[Queued, Running]);
        check(BulkAction::Cancel, &[Queued, Failed], &[Queued]);
        check(BulkAction::Retry, &[], &[Failed, Cancelled]);
        check(BulkAction::Retry, &[Running, Completed], &[]);
        check(BulkAction::Delete, &[], &Status::ALL);
        check(BulkAction::Delete, &[Completed], &[Completed]);
    }

    #[test]
    fn words_are_read_as_they_are_written() {
        for action in BulkAction::ALL {
            assert_eq!(BulkAction::try_from(action.as_str()), Ok(action));
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{action}\""));
        }
        assert!(BulkAction::try_from("Cancel").is_err());
    }

    #[test]
    fn progress_is_told_in_whole_percent_and_words() {
        let mut numbers = BulkNumbers::default();
        assert_eq!(numbers.percent(Some(0)), Percent::default());
        for _ in 0..1_200 {
            numbers.add(BulkOutcome::Changed);
        }
        numbers.add(BulkOutcome::Skipped);
        numbers.add(BulkOutcome::Failed);
        assert_eq!(numbers, BulkNumbers { matched: 1_202, changed: 1_200, skipped: 1, failed: 1 });
        assert_eq!(BulkAction::Cancel.task(&numbers, Some(5_000)), "cancelled 1,200 of 5,000");
        assert_eq!(BulkAction::Delete.task(&numbers, Some(7)), "deleted 1,200 of 1,202");
        assert_eq!(BulkAction::Retry.task(&numbers, None), "retried 1,200");
        let percent = |total| numbers.percent(total).hundredths();
        assert_eq!((percent(Some(5_000)), percent(Some(1)), percent(None)), (2_400, 9_900, 0));
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
    }
}
