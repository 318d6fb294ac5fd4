//! The errors of the modules below, as problems.

use super::Problem;
use crate::access;
use crate::domain::{FieldError, Invalid};
use crate::lists::ListError;
use crate::store::{self, Corrupt, StoreError};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<Corrupt> for Problem {
    fn from(error: Corrupt) -> Self {
        Self::internal(StoreError::from(error))
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Store(error) => error.into(),
            store::Error::RecordNotFound => Self::record_not_found(),
        }
    }
}

impl From<access::Error> for Problem {
    fn from(error: access::Error) -> Self {
        match error {
            access::Error::Store(error) => error.into(),
            access::Error::RateContended => Self::unavailable(error),
            access::Error::KeyNotFound => Self::key_not_found(),
            access::Error::KeyRevoked => Self::key_revoked(),
            access::Error::TooManyDays => {
                let message = "is too far back for all keys together: ask for fewer days, or for one key_id";
                Self::invalid_query(vec![FieldError::new("from_date", Invalid::new(message))])
            }
        }
    }
}

impl From<ListError> for Problem {
    fn from(error: ListError) -> Self {
        let field = match error {
            ListError::Store(error) => return error.into(),
            ListError::DeepOffset => "offset",
            ListError::TooManyToSort => "sort_by",
            ListError::TooManyTypes(_) => "type",
        };
        Self::invalid_query(vec![FieldError::new(field, Invalid(error.to_string()))])
    }
}
