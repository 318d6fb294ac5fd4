//! Errors that end a benchmark before its report.

use std::io;
use std::path::PathBuf;

use jobledger::domain::Invalid;

/// The reason why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stack did not settle, or its end failed.
    #[error(transparent)]
    Stack(#[from] jobledger_local::Error),
    /// A directory or file could not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Ingest did not accept every job of a call.
    #[error("ingest answered {status}: {answer}")]
    Ingest {
        /// The HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
    /// The list does not have the jobs that were loaded.
    #[error("{loaded} jobs were loaded, and the list counts {counted}")]
    Miscounted {
        /// Jobs that ingest accepted.
        loaded: u64,
        /// The list's total.
        counted: String,
    },
    /// A required operation is missing.
    #[error("template.yaml has no route {0}")]
    NoRoute(&'static str),
    /// An operation failed.
    #[error("{operation} answered {status}: {answer}")]
    Refused {
        /// Its name.
        operation: &'static str,
        /// The HTTP status.
        status: u16,
        /// The body.
        answer: String,
    },
    /// An answer lacks what later operations need.
    #[error("{operation} gave no {field}: {answer}")]
    GaveNothing {
        /// Its name.
        operation: &'static str,
        /// The missing field.
        field: &'static str,
        /// The body.
        answer: String,
    },
    /// An answer has more than exists.
    #[error("{operation} gave more than there is: {answer}")]
    GaveMore {
        /// Its name.
        operation: &'static str,
        /// The body.
        answer: String,
    },
    /// The domain refuses a name that is made here.
    #[error("a name is wrong: {0}")]
    Name(Invalid),
    /// The report cannot be written as JSON.
    #[error("the report cannot be written")]
    Json(#[from] serde_json::Error),
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Name(invalid)
    }
}
