//! The errors that end the command before its file is in.

use std::io;
use std::path::PathBuf;

use jobledger_client::ClientError;

/// Exit code where the command was used wrongly, or something was refused: the same command will not help.
pub(crate) const REFUSED: u8 = 2;
/// Exit code where the same command goes on later.
pub(crate) const INTERRUPTED: u8 = 3;
/// The advice after an end that the file has nothing to do with.
pub(crate) const GOES_ON: &str = "Run the same command again: it goes on where it stopped";
/// The same, of what cannot be read again.
pub(crate) const PIPE_ENDS: &str =
    "Standard input cannot be read again: send all of it once more; what is in already stays as it is";

/// Why not all of a file has gone in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An option, a variable or a key is wrong.
    #[error("{0}")]
    Usage(String),
    /// The process got nothing to run on.
    #[error("this machine gives the command nothing to run on")]
    Machine(#[source] io::Error),
    /// The service's address or the key is not one, or this machine trusts nobody.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file that is read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The operation that failed.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The content of the file cannot be cut into jobs.
    #[error(
        "{file}: {what}; all jobs before are sent. Mend the file from there on, and run the same command again"
    )]
    Broken {
        /// Which file.
        file: String,
        /// The place and the error.
        what: String,
    },
    /// The command does not read files of this form.
    #[error("{file} is {what}")]
    Unreadable {
        /// Which file.
        file: String,
        /// The form, and the advice.
        what: &'static str,
    },
    /// Another process sends the file.
    #[error("{0} is being sent by another run of this command; wait for its end")]
    Locked(String),
    /// Another process writes what it rejects.
    #[error("another run of this command writes {}; wait for its end, or name another file with --rejected", .0.display())]
    Busy(PathBuf),
    /// The file beside the source cannot be used.
    #[error("{}: {what}", path.display())]
    State {
        /// Which file.
        path: PathBuf,
        /// The error, and the advice.
        what: String,
    },
    /// The source is not what was sent.
    #[error(
        "{file} has changed where it was sent already (its first {jobs} jobs are others now); to send all of it again, add --restart: \
         what is unchanged stays as it is"
    )]
    Changed {
        /// Which file.
        file: String,
        /// How many jobs of it were confirmed.
        jobs: u64,
    },
    /// The service will not have it.
    #[error("{0}")]
    Refused(String),
    /// The service did not answer well through all tries.
    #[error("{why}; that was the last of {tries} tries. {remedy}")]
    GaveUp {
        /// How the last try ended.
        why: String,
        /// How many there were in a row.
        tries: u32,
        /// The advice.
        remedy: &'static str,
    },
    /// Somebody ended it.
    #[error("interrupted. {remedy}")]
    Interrupted {
        /// The advice.
        remedy: &'static str,
    },
}

impl Error {
    /// The exit code of the process.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Machine(_)
            | Self::Client(_)
            | Self::File { .. }
            | Self::Broken { .. }
            | Self::Unreadable { .. }
            | Self::Locked(_)
            | Self::Busy(_)
            | Self::State { .. }
            | Self::Changed { .. }
            | Self::Refused(_) => REFUSED,
            Self::GaveUp { .. } | Self::Interrupted { .. } => INTERRUPTED,
        }
    }

    pub(crate) fn file(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }
}
