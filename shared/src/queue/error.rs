//! Why an operation on a job was not carried out.

use crate::domain::{Invalid, PartError, Status, TypeName};
use crate::store::{Corrupt, StoreError};

/// Why an operation on a job was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job of the owner has this id. Another owner may have one.
    #[error("no job of the owner has this id")]
    NotFound,
    /// The status of the job does not allow it.
    #[error("a {status} job cannot be {wanted}")]
    WrongStatus {
        /// The status of the job.
        status: Status,
        /// The change that was asked for, as a participle: `cancelled`.
        wanted: String,
    },
    /// The job shows the service's own work, which callers only cancel and delete.
    #[error("a {0} job is the service's own")]
    ServiceJob(TypeName),
    /// The lease that a report shows ran out, or is another attempt's. The job stands so.
    #[error("the lease does not hold: the job is {0}")]
    LeaseLost(Status),
    /// A worker holds the job, and the report shows no lease.
    #[error("a worker holds the job")]
    Leased,
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// Another job of the owner has the external id. That job stands so.
    #[error("a {0} job has the external id")]
    ExternalIdTaken(Status),
    /// The owner keeps as much as the key lets it.
    #[error("the owner keeps {used_bytes} of {quota_bytes} bytes")]
    QuotaExceeded {
        /// The bytes that the owner keeps.
        used_bytes: u64,
        /// The bytes that the key lets it keep.
        quota_bytes: u64,
    },
    /// The owner uses as many types as it may, and the job has another one.
    #[error("the owner uses {0} types already")]
    TooManyTypes(u32),
    /// With those that the job has, its labels are more than may be.
    #[error("the labels of the job {0}")]
    TooManyLabels(Invalid),
    /// Input or output is larger than it may be.
    #[error(transparent)]
    TooLarge(#[from] PartError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Error {
    /// A job that stands so cannot be this.
    pub(super) fn wrong_status(status: Status, wanted: impl Into<String>) -> Self {
        Self::WrongStatus { status, wanted: wanted.into() }
    }
}

impl From<Corrupt> for Error {
    fn from(corrupt: Corrupt) -> Self {
        Self::Store(corrupt.into())
    }
}
