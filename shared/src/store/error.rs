//! Errors between us and DynamoDB, sorted by what the caller can do about them.

use std::error::Error as Cause;
use std::fmt;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, was over its limit, or was busy with the same items, through every try: come back later.
    #[error("the store did not answer")]
    Unavailable(#[source] Box<dyn Cause + Send + Sync>),
    /// It refused the request: a mistake of ours or of the deployment.
    #[error("the store refused the request")]
    Refused(#[source] Box<dyn Cause + Send + Sync>),
    /// A stored item is not of a form that we store.
    #[error("a stored item cannot be read")]
    Corrupt(#[from] Corrupt),
}

/// Why an operation on a resource was not done. One kind for all resources; `http` makes the problem of each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The owner has no record of this kind with this id.
    #[error("no such record")]
    RecordNotFound,
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.into())
    }
}

/// A stored item that is not what it should be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Corrupt {
    /// Which item, as far as can be told; never its payload.
    pub item: String,
    /// The error in it.
    pub problem: String,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {}: {}", self.item, self.problem)
    }
}

impl Corrupt {
    /// This item, for this reason.
    pub fn new(item: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { item: item.to_string(), problem: problem.to_string() }
    }
}
