//! The errors of keys, tickets, rates and usage.

use crate::store::{Corrupt, StoreError};

/// Why an operation on access was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// Something may be left of a key's rate, but other calls were faster at every try.
    #[error("others took from the key's rate at every try")]
    RateContended,
    /// No key has this id.
    #[error("no key has this key_id")]
    KeyNotFound,
    /// The key was revoked, and a revoked key never changes.
    #[error("the key was revoked")]
    KeyRevoked,
    /// All keys of the owner together were used on more days than one report reads.
    #[error("the report would read too many days; ask for fewer days, or for one key")]
    TooManyDays,
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.into())
    }
}
