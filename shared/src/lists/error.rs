//! Why a list is not answered.

use super::MAX_MATCHES;
use crate::store::{Corrupt, StoreError};

/// Why a list is not answered.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The store did not answer, or what it keeps cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The offset is deeper than matches of a filter are counted.
    #[error("must be at most {MAX_MATCHES} with these filters; follow next_cursor instead")]
    DeepOffset,
    /// The list has more matches than are sorted by something else than creation.
    #[error("sorts at most {MAX_MATCHES} matches, and this list has more; narrow it, or use created_at")]
    TooManyToSort,
    /// There are more types within dates than are counted one by one.
    #[error("at most {0} types are counted within dates; name some, or leave out the dates")]
    TooManyTypes(usize),
}

impl From<Corrupt> for ListError {
    fn from(error: Corrupt) -> Self {
        Self::Store(error.into())
    }
}
