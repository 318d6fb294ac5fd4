//! The errors of the modules below, as problems.

use super::Problem;
use crate::access;
use crate::domain::{FieldError, Invalid};
use crate::lists::{MAX_MATCHES, Refused};
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
            access::Error::KeyNotFound => Self::key_not_found(),
            access::Error::KeyRevoked => Self::key_revoked(),
            access::Error::TooManyDays => {
                let message = "is too far back for all keys together: ask for fewer days, or for one key_id";
                Self::invalid_query(vec![FieldError::new("from_date", Invalid::new(message))])
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let (name, message) = match refused {
            Refused::Store(error) => return error.into(),
            Refused::Deep => (
                "offset",
                format!("must be at most {MAX_MATCHES} with these filters; follow next_cursor instead"),
            ),
            Refused::Unsortable => (
                "sort_by",
                format!(
                    "sorts at most {MAX_MATCHES} matches, and this list has more; narrow it, or use created_at"
                ),
            ),
            Refused::ManyTypes(most) => (
                "type",
                format!("at most {most} types are counted within dates; name some, or leave out the dates"),
            ),
        };
        Self::invalid_query(vec![FieldError::new(name, Invalid(message))])
    }
}
