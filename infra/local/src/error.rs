//! The errors while the stack starts or ends.

use std::io;
use std::path::PathBuf;

use crate::template::TemplateError;

/// Why the stack did not start, or did not end well. Its sources say the rest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The template cannot be run.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template and the code name different functions.
    #[error("the template and the registry disagree: {0}")]
    Registry(String),
    /// This function has no schedule, or its interval is shorter than a second.
    #[error("function {0} cannot be called so often: name one with a schedule, and at least a second")]
    NoSchedule(String),
    /// A function did not become ready.
    #[error("function {name} did not start")]
    Function {
        /// Its crate.
        name: String,
        /// The error that it returned.
        source: jobledger::Error,
    },
    /// Another process listens there.
    #[error("port {port} is taken: choose another with {option}, or 0 for any")]
    PortTaken {
        /// The port.
        port: u16,
        /// The option that names another.
        option: &'static str,
    },
    /// A port could not be opened.
    #[error("cannot listen on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
    /// Another process runs on the same data.
    #[error("{} is in use by another jobledger: stop it, or choose another directory with --data", .0.display())]
    DataInUse(PathBuf),
    /// The data directory cannot be used.
    #[error("cannot use {}", path.display())]
    Data {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The embedded engine failed.
    #[error("the embedded DynamoDB failed while {doing}")]
    Engine {
        /// The engine's operation that failed.
        doing: &'static str,
        /// The engine's error.
        source: BoxError,
    },
    /// DynamoDB refused or did not answer.
    #[error("DynamoDB failed while {doing}")]
    DynamoDb {
        /// The operation that failed.
        doing: String,
        /// Its error.
        source: BoxError,
    },
    /// An existing table differs from the template's.
    #[error(
        "table {table} is not what the template says ({difference}): move the data away, or choose another --data"
    )]
    OtherTable {
        /// The table's name.
        table: String,
        /// The difference.
        difference: String,
    },
    /// A stream was not delivered in time.
    #[error("{consumer} has not been delivered everything in time")]
    Unsettled {
        /// The function that waits.
        consumer: String,
    },
}

/// An error of a library.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of starting and ending.
pub type Result<T> = std::result::Result<T, Error>;

/// An SDK error of this operation, with its chain.
pub(crate) fn dynamo_db(doing: impl Into<String>) -> impl FnOnce(BoxError) -> Error {
    let doing = doing.into();
    move |source| Error::DynamoDb { doing, source }
}
