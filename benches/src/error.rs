//! What can end a benchmark before its report.

use std::io;
use std::path::PathBuf;

use jobledger::domain::Invalid;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stack did not settle, or did not end well.
    #[error(transparent)]
    Stack(#[from] jobledger_local::Error),
    /// A directory or file could not be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not every job of a call went in.
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
        /// Jobs that went in.
        loaded: u64,
        /// What the list told.
        counted: String,
    },
    /// An operation that has to be there is not.
    #[error("template.yaml has no route {0}")]
    NoRoute(&'static str),
    /// An operation did not do what it does.
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
        /// What it should have.
        field: &'static str,
        /// The body.
        answer: String,
    },
    /// An answer has what there should not be.
    #[error("{operation} gave more than there is: {answer}")]
    GaveMore {
        /// Its name.
        operation: &'static str,
        /// The body.
        answer: String,
    },
    /// A name that is made here is none for the domain.
    #[error("a name is wrong: {0}")]
    Name(Invalid),
    /// A report that is no JSON.
    #[error("the report cannot be written")]
    Json(#[from] serde_json::Error),
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Name(invalid)
    }
}
