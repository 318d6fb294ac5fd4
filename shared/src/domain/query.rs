//! The request of a list, as a value.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::{
    ErrorCode, ExternalId, Invalid, Job, Owner, Search, State, Status, Timestamp, TypeName, Wait, WorkerId,
};

/// Most types that one list may name.
pub const MAX_TYPES: usize = 100;

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
    /// The time that tells which queued jobs are due.
    pub at: Timestamp,
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
    /// If they are queued, waiting in one of these ways; empty: in any.
    pub waits: BTreeSet<Wait>,
    /// Ended when.
    pub completed: Option<CreatedRange>,
    /// Last changed when.
    pub updated: Option<CreatedRange>,
    /// Failed with this code.
    pub error_code: Option<ErrorCode>,
    /// Held by this worker. No index knows the holder, so the heads of running jobs are read.
    pub worker: Option<WorkerId>,
}

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
            at: Timestamp::MIN,
        }
    }

    /// Whether a job of this type in this status is asked for, as far as these decide.
    pub fn wants(&self, kind: &TypeName, status: Status) -> bool {
        (self.types.is_empty() || self.types.contains(kind))
            && (self.statuses.is_empty() || self.statuses.contains(&status))
    }

    /// Whether a job is one of those that are asked for.
    pub fn matches(&self, job: &Job) -> bool {
        self.owner == job.owner
            && self.wants(&job.kind, job.status())
            && self.created.holds(job.created_at)
            && self.filter.lets_pass(job, self.at)
    }
}

impl Filter {
    /// Whether it asks for nothing: then the list is counted exactly.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a job is as it asks, at that time. A row of an index does not tell who holds its job.
    fn lets_pass(&self, job: &Job, at: Timestamp) -> bool {
        let Self { priority, labels, external_id, search, waits, completed, updated, error_code, worker } =
            self;
        let completed_at = job.state.ended().map(|ended| ended.completed_at);
        let code = match &job.state {
            State::Failed(_, error) => error.code.as_ref(),
            State::Queued { .. } | State::Running { .. } | State::Completed(_) | State::Cancelled(_) => None,
        };
        priority.is_none_or(|priority| priority == job.priority)
            && labels.iter().all(|(name, value)| job.labels.get(name) == Some(value))
            && external_id.as_ref().is_none_or(|id| job.external_id.as_ref() == Some(id))
            && search.as_ref().is_none_or(|search| search.finds(job))
            && (waits.is_empty() || Wait::of(job, at).is_none_or(|wait| waits.contains(&wait)))
            && completed.is_none_or(|range| completed_at.is_some_and(|at| range.holds(at)))
            && updated.is_none_or(|range| range.holds(job.updated_at))
            && error_code.as_ref().is_none_or(|wanted| code == Some(wanted))
            && worker.as_ref().is_none_or(|worker| job.held_by() == Some(worker))
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

    /// Whether a time lies within.
    pub fn holds(self, time: Timestamp) -> bool {
        (self.from..=self.to).contains(&time)
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
