//! The options of the command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use jobledger_client::Backoff;

use crate::call::MAX_JOBS;
use crate::error::{Error, GOES_ON, PIPE_ENDS};
use crate::rejected::Rejected;
use crate::source::STANDARD_INPUT;

/// Longest wait before another try, unless the service asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Longest file that a key is read from.
const MAX_KEY_FILE_BYTES: u64 = 4_096;

/// The command `jobledger`.
#[derive(Debug, Parser)]
#[command(name = "jobledger", version, about = "Brings jobs into a jobledger.")]
pub(crate) struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sends the jobs of a file, and goes on where it stopped when it is run again
    Ingest(Ingest),
}

/// Sends the jobs of a file to a service, which updates each by its `external_id`.
#[derive(clap::Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option that is given or not")]
#[command(after_help = "\
The key, with the scope admin, comes from the variable JOBLEDGER_KEY or from --key-file; never as an argument, \
which everybody on this machine could see.

Ends with 0 when all jobs are in, 1 when some were rejected, 2 when something is wrong or was refused, and 3 when it gave \
up for now or was interrupted: then run the same command again.")]
pub(crate) struct Ingest {
    /// A job a line (NDJSON) or one JSON array of jobs, also packed by gzip; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The service, such as `https://jobs.example.com`; else the variable `JOBLEDGER_URL` says it
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Whose jobs they are; else the key's owner's
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// A file that has the key and nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Forget what was sent, and send all of it
    #[arg(long)]
    pub(crate) restart: bool,
    /// Send nothing: only read the file through, and tell what is no job
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Most jobs of one call
    #[arg(long, value_name = "JOBS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=MAX_JOBS_WIDE))]
    pub(crate) batch: u64,
    /// Tries of a call in a row before it gives up
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) tries: u32,
    /// Longest wait after the first failure; it doubles with each further one, up to 30 seconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=30_000))]
    pub(crate) first_wait: u64,
    /// Longest wait for an answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) timeout: u64,
    /// Where to write what is rejected, and why; else FILE.rejected.ndjson, for standard input a new file in this folder
    #[arg(long, value_name = "FILE")]
    pub(crate) rejected: Option<PathBuf>,
    /// Where to write how far it is; else FILE.jobledger-ingest.json
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Tell the end as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell nothing while it runs
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// [`MAX_JOBS`], as options are counted.
const MAX_JOBS_WIDE: u64 = MAX_JOBS as u64;

/// The settings from the process's environment.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    /// `JOBLEDGER_URL`.
    pub(crate) url: Option<String>,
    /// `JOBLEDGER_KEY`.
    pub(crate) key: Option<String>,
}

impl Ingest {
    pub(crate) fn is_piped(&self) -> bool {
        self.file == Path::new(STANDARD_INPUT)
    }

    pub(crate) fn name(&self) -> String {
        if self.is_piped() { "standard input".to_owned() } else { self.file.display().to_string() }
    }

    pub(crate) fn rejected(&self) -> Rejected {
        // Several pipes of one folder have nothing in common.
        let is_new = self.is_piped() && self.rejected.is_none();
        if is_new { Rejected::new(self.rejected_path()) } else { Rejected::of(self.rejected_path()) }
    }

    fn rejected_path(&self) -> PathBuf {
        self.rejected.clone().unwrap_or_else(|| self.beside("rejected.ndjson"))
    }

    /// None of a pipe: it cannot be read again.
    pub(crate) fn state_path(&self) -> Option<PathBuf> {
        let path = || self.state.clone().unwrap_or_else(|| self.beside("jobledger-ingest.json"));
        (!self.is_piped()).then(path)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        if self.is_piped() {
            return PathBuf::from(format!("jobledger-ingest.{ending}"));
        }
        let mut name = self.file.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    pub(crate) fn url(&self, environment: &Environment) -> Result<String, Error> {
        let url = self.url.as_ref().or(environment.url.as_ref());
        let url = url
            .ok_or_else(|| Error::Usage("no service is named: set JOBLEDGER_URL, or add --url".to_owned()))?;
        Ok(url.trim_end_matches('/').to_owned())
    }

    pub(crate) fn key(&self, environment: Environment) -> Result<String, Error> {
        use std::io::Read as _;

        let Some(path) = &self.key_file else {
            return environment.key.ok_or_else(|| {
                Error::Usage("there is no key: set JOBLEDGER_KEY, or add --key-file".to_owned())
            });
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_KEY_FILE_BYTES).read_to_string(&mut text))
            .map_err(Error::file("read", path))?;
        Ok(text.trim().to_owned())
    }

    /// No file may be written over the one that is read.
    pub(crate) fn check_paths(&self) -> Result<(), Error> {
        let real = |path: &Path| path.canonicalize().ok();
        let source = real(&self.file);
        let written = [Some(self.rejected_path()), self.state_path()];
        match written.iter().flatten().find(|path| source.is_some() && real(path) == source) {
            None if self.state_path() != Some(self.rejected_path()) => Ok(()),
            None | Some(_) => {
                Err(Error::Usage("FILE, --rejected and --state must be three files".to_owned()))
            }
        }
    }

    /// The advice if the command was ended before the file was.
    pub(crate) fn remedy(&self) -> &'static str {
        if self.is_piped() { PIPE_ENDS } else { GOES_ON }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff { first: Duration::from_millis(self.first_wait), longest: LONGEST_WAIT }
    }

    pub(crate) fn max_jobs(&self) -> usize {
        usize::try_from(self.batch).map_or(MAX_JOBS, |jobs| jobs.min(MAX_JOBS))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn ingest(arguments: &[&str]) -> Ingest {
        let Command::Ingest(options) =
            Cli::try_parse_from(["jobledger", "ingest"].iter().chain(arguments)).unwrap().command;
        options
    }

    #[test]
    fn options_make_sense() {
        Cli::command().debug_assert();
        for wrong in [&["f", "--batch", "10001"][..], &["f", "--key", "k"], &[], &["f", "--tries", "0"]] {
            assert!(Cli::try_parse_from(["jobledger", "ingest"].iter().chain(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn files_lie_beside_the_source() {
        let options = ingest(&["a/b.ndjson"]);
        assert_eq!(options.rejected_path(), Path::new("a/b.ndjson.rejected.ndjson"));
        assert_eq!(options.state_path().as_deref(), Some(Path::new("a/b.ndjson.jobledger-ingest.json")));
        let piped = ingest(&["-", "--state", "s"]);
        assert_eq!((piped.state_path(), piped.is_piped()), (None, true));
        assert_eq!(piped.rejected_path(), Path::new("jobledger-ingest.rejected.ndjson"));
    }

    #[test]
    fn the_url_of_the_command_is_stronger_than_that_of_the_environment() {
        let environment = Environment { url: Some("http://e/".to_owned()), key: None };
        assert_eq!(ingest(&["f"]).url(&environment).unwrap(), "http://e");
        assert_eq!(ingest(&["f", "--url", "http://o"]).url(&environment).unwrap(), "http://o");
        assert!(ingest(&["f"]).url(&Environment::default()).is_err());
        assert!(ingest(&["f"]).key(environment).is_err());
    }
}
