//! Why an operation on a job was not carried out, as a problem.

use super::Problem;
use crate::domain::FieldError;
use crate::queue::Error;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::job_not_found(),
            Error::WrongStatus { status, wanted } => Self::wrong_status(status, &wanted),
            Error::ServiceJob(kind) => Self::service_job(&kind),
            Error::LeaseLost(status) => Self::lease_lost(status),
            Error::Leased => Self::leased(),
            Error::IdempotencyKeyReused => Self::idempotency_key_reused(),
            Error::ExternalIdTaken(status) => Self::external_id_taken(status),
            Error::QuotaExceeded { used_bytes, quota_bytes } => Self::quota_exceeded(used_bytes, quota_bytes),
            Error::TooManyTypes(limit) => Self::too_many_types(limit),
            Error::TooManyLabels(invalid) => Self::invalid_body(vec![FieldError::new("labels", invalid)]),
            Error::TooLarge(error) => Self::too_large(error.to_string()),
            Error::Store(error) => error.into(),
        }
    }
}
