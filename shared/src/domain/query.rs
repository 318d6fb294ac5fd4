//! What a list asks for, as a value.

use std::collections::BTreeSet;

use super::{Invalid, Owner, Status, Timestamp, TypeName};

/// Most types that one list may name.
pub const MAX_TYPES: usize = 20;

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
    /// Newest or oldest first.
    pub order: Order,
}

/// Newest or oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Newest first.
    Desc,
    /// Oldest first.
    Asc,
}

/// When jobs were created, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreatedRange {
    from: Timestamp,
    to: Timestamp,
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
