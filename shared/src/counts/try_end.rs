//! How attempts end, as they are counted.

use crate::domain::{ErrorCode, JobError, code};

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TryEnd {
    /// Well.
    Completed,
    /// Badly, as its worker said.
    Failed,
    /// It was called off.
    Cancelled,
    /// Its worker did not report in time.
    LeaseExpired,
    /// It took longer than it may.
    Timeout,
    /// Its worker gave it back.
    HandedBack,
}

impl TryEnd {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Completed, Self::Failed, Self::Cancelled, Self::LeaseExpired, Self::Timeout, Self::HandedBack];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::LeaseExpired => code::LEASE_EXPIRED,
            Self::Timeout => code::TIMEOUT,
            Self::HandedBack => code::HANDED_BACK,
        }
    }

    /// How an attempt ended, as its error says.
    pub fn of_error(error: Option<&JobError>) -> Self {
        match error.and_then(|error| error.code.as_ref()).map(ErrorCode::as_str) {
            Some(code::LEASE_EXPIRED) => Self::LeaseExpired,
            Some(code::TIMEOUT) => Self::Timeout,
            Some(code::HANDED_BACK) => Self::HandedBack,
            Some(_) | None => Self::Failed,
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == word)
    }
}
