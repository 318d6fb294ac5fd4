//! How many jobs there are, by status.

use crate::counts::{Cell, Tally};
use crate::domain::{JobQuery, Status};

/// How many jobs are in each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts([i64; Status::ALL.len()]);

impl StatusCounts {
    /// The jobs that are there, of those that a tally counts.
    pub fn of(tally: &Tally) -> Self {
        Self(Status::ALL.map(|status| tally.get(Cell::Alive(status))))
    }

    /// How many are in this one.
    pub fn get(&self, status: Status) -> u64 {
        self.iter().find(|(known, _)| *known == status).map_or(0, |(_, count)| count)
    }

    /// Both together.
    #[must_use]
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += more;
        }
        self
    }

    /// Adds to one number.
    pub(crate) fn add_one(&mut self, status: Status, by: i64) {
        for (known, count) in Status::ALL.iter().zip(&mut self.0) {
            if *known == status {
                *count += by;
            }
        }
    }

    /// Each status with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Status, u64)> {
        Status::ALL.into_iter().zip(self.0.iter().map(|count| u64::try_from(*count).unwrap_or(0)))
    }

    /// Without the statuses that a list does not ask for.
    #[must_use]
    pub(crate) fn only(mut self, query: &JobQuery) -> Self {
        for (status, count) in Status::ALL.iter().zip(&mut self.0) {
            if !(query.statuses.is_empty() || query.statuses.contains(status)) {
                *count = 0;
            }
        }
        self
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }

    /// How many are in the statuses that a list asks for.
    pub(crate) fn sum(&self, query: &JobQuery) -> u64 {
        let wanted = |status: Status| query.statuses.is_empty() || query.statuses.contains(&status);
        self.iter().filter(|(status, _)| wanted(*status)).map(|(_, count)| count).sum()
    }
}
