//! The request of a list, as a value.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{ExternalId, Invalid, Job, Owner, Status, Timestamp, TypeName, spelling};

/// Most types that one list may name.
pub const MAX_TYPES: usize = 100;

/// Most characters of a text to search for: as many as a name has.
const MAX_SEARCH_CHARS: usize = 200;

/// Which jobs, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobQuery {
    /// Whose.
    pub owner: Owner,
    /// Of which types; empty: of all.
    pub types: BTreeSet<TypeName>,
    /// In which statuses; empty: in all.
    pub statuses: BTreeSet<Status>,
    /// Created when.
    pub created: CreatedRange,
    /// And what else must hold, that is counted nowhere.
    pub filter: Filter,
    /// By what the list is sorted.
    pub sort: SortBy,
    /// Which end of the list comes first.
    pub order: Order,
}

/// The filters of a list beside type, status and time. Jobs are not counted by these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this priority.
    pub priority: Option<u8>,
    /// With these values of labels.
    pub labels: BTreeMap<String, String>,
    /// That the caller calls so.
    pub external_id: Option<ExternalId>,
    /// That this text finds.
    pub search: Option<Search>,
}

/// A text to search for: a part of a name in any case, or a whole id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search(String);

/// By what a list is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// By creation, as the indexes are.
    Created,
    /// By the last change.
    Updated,
    /// By the end; jobs that have not ended come last in either order.
    Completed,
    /// By priority, and the same by creation.
    Priority,
}

/// Newest or oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

impl Order {
    /// The other way round.
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Desc => Self::Asc,
            Self::Asc => Self::Desc,
        }
    }

    /// Which of two sort keys comes first.
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Self::Asc => a.cmp(b),
            Self::Desc => b.cmp(a),
        }
    }
}

/// When jobs were created, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedRange {
    from: Timestamp,
    to: Timestamp,
}

impl JobQuery {
    /// All jobs of an owner, newest first.
    pub fn all(owner: Owner) -> Self {
        Self {
            owner,
            types: BTreeSet::new(),
            statuses: BTreeSet::new(),
            created: CreatedRange::ALL,
            filter: Filter::default(),
            sort: SortBy::Created,
            order: Order::Desc,
        }
    }

    /// Whether a job of this type in this status is asked for, as far as these decide.
    pub fn wants(&self, kind: &TypeName, status: Status) -> bool {
        (self.types.is_empty() || self.types.contains(kind))
            && (self.statuses.is_empty() || self.statuses.contains(&status))
    }

    /// Whether a job is one of those that are asked for.
    pub fn matches(&self, job: &Job) -> bool {
        let Filter { priority, labels, external_id, search } = &self.filter;
        self.owner == job.owner
            && self.wants(&job.kind, job.status())
            && (self.created.from..=self.created.to).contains(&job.created_at)
            && priority.is_none_or(|priority| priority == job.priority)
            && labels.iter().all(|(name, value)| job.labels.get(name) == Some(value))
            && external_id.as_ref().is_none_or(|id| job.external_id.as_ref() == Some(id))
            && search.as_ref().is_none_or(|search| search.finds(job))
    }
}

/// A text without regard to case and spelling, as names are searched.
pub fn folded(text: &str) -> String {
    // Composed once more: of some letters and marks, only the small ones have a character together.
    spelling::composed(&spelling::composed(text).to_lowercase()).into_owned()
}

impl Filter {
    /// Whether it asks for nothing: then the list is counted exactly.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Search {
    /// The text as it was given: an `external_id` is found by its bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a part of the job's name, in any case.
    pub fn finds_by_name(&self, job: &Job) -> bool {
        job.name.as_ref().is_some_and(|name| folded(name.as_str()).contains(&self.folded()))
    }

    /// Whether it is a part of the job's name, or one of its ids.
    fn finds(&self, job: &Job) -> bool {
        let is_id = job.id.to_string() == self.0.to_lowercase();
        let is_external_id = job.external_id.as_ref().is_some_and(|id| id.as_str() == self.0);
        is_id || is_external_id || self.finds_by_name(job)
    }

    /// The text without regard to case.
    pub fn folded(&self) -> String {
        folded(&self.0)
    }
}

impl TryFrom<&str> for Search {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.is_empty()
            || spelling::composed(text).chars().count() > MAX_SEARCH_CHARS
            || text.chars().any(char::is_control)
        {
            return Err(Invalid(format!(
                "must be 1 to {MAX_SEARCH_CHARS} characters, no control characters"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl CreatedRange {
    /// All times.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// From one time to another, neither of them left out; the second must not come first.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, Invalid> {
        let range = Self { from: from.unwrap_or(Timestamp::MIN), to: to.unwrap_or(Timestamp::MAX) };
        if range.from <= range.to {
            Ok(range)
        } else {
            Err(Invalid::new("must not be before the lower bound"))
        }
    }

    /// The first millisecond.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The last millisecond.
    pub const fn to(self) -> Timestamp {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_alike_in_any_case_and_spelling() {
        for (one, other) in [
            ("Équipe", "E\u{301}QUIPE"),
            ("\u{212b}", "a\u{30a}"),
            // Together they are one character only when they are small.
            ("H\u{331}", "\u{1e96}"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(folded(one), folded(other));
            assert_eq!(folded(&folded(one)), folded(one));
        }
        assert_ne!(folded("e"), folded("é"));
    }

    #[test]
    fn a_search_keeps_the_bytes_that_an_id_is_found_by() {
        let search = Search::try_from(" E\u{301} ").unwrap();
        assert_eq!((search.as_str(), search.folded().as_str()), ("E\u{301}", "é"));
        assert!(Search::try_from("e\u{301}".repeat(200).as_str()).is_ok());
        assert!(Search::try_from("é".repeat(201).as_str()).is_err());
    }
}
