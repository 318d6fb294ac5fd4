//! The errors of a worker's settings, of its run, and of one attempt of a job.

use std::fmt;
use std::io;

use jobledger_client::{ClientError, chain};
use serde::Serialize;

use crate::client::Problem;

/// The status of a key that the service does not know.
const UNAUTHORIZED: u16 = 401;
/// Longest message of an error, or name of a task in it, that the service keeps, in characters.
const MAX_TEXT: usize = 500;

/// The reason why a worker could not be built.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The service's address or the key is invalid, or this machine has no certificates.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The worker's name is invalid.
    #[error(
        "the worker's id must be 1 to 64 letters, digits, '_', '-', '.' or ':', the first a letter or a digit: \
         got {0:?}"
    )]
    WorkerId(String),
    /// A type's name is invalid.
    #[error(
        "a type must be 1 to 64 letters, digits, '_', '-', '.' or ':', the first a letter or a digit: got {0:?}"
    )]
    Type(String),
    /// A claim names all types, and may name only this many.
    #[error("a worker handles 1 to 20 types, this one {0}: call `handle`, or split it in two")]
    Types(usize),
    /// A number is out of its range.
    #[error("{name} must be {range}")]
    Range {
        /// The setting.
        name: &'static str,
        /// The range that it may have.
        range: &'static str,
    },
    /// A timeout for a type without a handler.
    #[error("there is a timeout for {0:?}, which has no handler: call `handle` for it")]
    Timeout(String),
    /// The port of `/metrics` is not available.
    #[error("cannot listen for /metrics, /health and /stats: choose another address")]
    Listen(#[source] io::Error),
}

/// The reason why a run ended by itself. Its attempts were finished or handed back, as at any stop, if possible.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The service does not know the key: 401.
    #[error(
        "the service does not know this key, or it was revoked or has expired: give the worker a valid key ({0})"
    )]
    UnknownKey(String),
    /// The service knows the key, but it may not work: 403.
    #[error("the service does not let this key work: give it a key with the scope `work` ({0})")]
    Denied(String),
    /// The service refuses this worker's claims, and would refuse the next one. For example, the address is not that
    /// of a jobledger.
    #[error("the service refuses to be asked for work: check the address and the versions of both ({0})")]
    Refused(String),
    /// The process was told to stop again while it waited for running attempts. These are left to their leases.
    #[error("stopped twice: what still ran was cut off, and is tried again when its lease is over")]
    StoppedTwice,
    /// The process cannot listen for signals.
    #[error("cannot listen for signals: use `run_until` ({0})")]
    Signals(String),
}

/// A sentence and its causes: a `main` that returns the error prints it in this form.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self))
    }
}

/// A sentence: a `main` that returns the error prints it in this form.
impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&chain(self))
    }
}

impl RunError {
    /// The error for the answers 401 and 403.
    pub(crate) fn denied(problem: &Problem) -> Self {
        if problem.status == UNAUTHORIZED {
            Self::UnknownKey(problem.to_string())
        } else {
            Self::Denied(problem.to_string())
        }
    }
}

/// The reason why an attempt failed. While attempts are left, the job is retried, if not [permanent](Self::permanent).
///
/// Any error becomes one by `?`, to be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskError {
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed_task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    #[serde(skip)]
    pub(crate) retryable: bool,
}

impl TaskError {
    /// An error that may pass: the job is tried again while it has tries left.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: text(message), failed_task: None, code: None, retryable: true }
    }

    /// An error that will not pass: the job fails, even if it has tries left.
    pub fn permanent(message: impl fmt::Display) -> Self {
        Self { retryable: false, ..Self::new(message) }
    }

    /// Names the step that failed, for people.
    #[must_use]
    pub fn failed_task(mut self, task: impl fmt::Display) -> Self {
        self.failed_task = Some(text(task));
        self
    }

    /// A stable word for programs, such as `out_of_memory`.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Whether the job may be tried again.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// As much of a text as the service keeps. A report that it refuses would lose the error altogether.
fn text(text: impl fmt::Display) -> String {
    let text: String = text.to_string().trim().chars().take(MAX_TEXT).collect();
    if text.is_empty() { "an error without a message".to_owned() } else { text }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// With its causes. (This is why a `TaskError` itself is no `std::error::Error`.)
impl<E: std::error::Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        Self::new(chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_task_errors_with_their_causes() {
        let inner = io::Error::other("no space left");
        let error: TaskError = BuildError::Listen(inner).into();
        assert!(error.message.ends_with(": no space left"), "{error}");
        assert!(error.is_retryable() && !TaskError::permanent("x").is_retryable());
    }

    #[test]
    fn fatal_errors_are_sentences_also_as_a_main_prints_them() {
        let problem = |status| Problem { status, ..Problem::default() };
        for (error, text) in [
            (RunError::denied(&problem(401)), "does not know this key"),
            (RunError::denied(&problem(403)), "a key with the scope `work`"),
        ] {
            assert_eq!(format!("{error:?}"), error.to_string());
            assert!(error.to_string().contains(text), "{error}");
        }
        let error = BuildError::Listen(io::Error::other("taken"));
        assert_eq!(
            format!("{error:?}"),
            "cannot listen for /metrics, /health and /stats: choose another address: taken"
        );
    }

    #[test]
    fn texts_are_cut_to_what_is_kept() {
        assert_eq!(TaskError::new("ä".repeat(501)).message.chars().count(), 500);
        assert_eq!(TaskError::new(" ").message, "an error without a message");
    }
}
