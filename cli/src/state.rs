//! How far a file has gone in: a small file beside it, written anew after every call that was confirmed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::source::{Content, Job};

/// The form of the state file, which the file itself names.
const VERSION: u32 = 1;

/// The numbers of jobs, by outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counts {
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    pub(crate) rejected: u64,
    /// Lines that were not sent, because a later line of their call has the same job.
    #[serde(default)]
    pub(crate) superseded: u64,
}

impl Counts {
    /// Adds other counts to these.
    pub(crate) fn add(&mut self, other: Counts) {
        let Counts { created, updated, unchanged, rejected, superseded } = other;
        self.created += created;
        self.updated += updated;
        self.unchanged += unchanged;
        self.rejected += rejected;
        self.superseded += superseded;
    }
}

/// The progress that was confirmed.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    url: String,
    owner: Option<String>,
    /// The id of the service that has these jobs. None: it has none, or an older version of the command sent them.
    #[serde(default)]
    service: Option<String>,
    /// Jobs of the file, from the first on.
    pub(crate) jobs: u64,
    /// The SHA-256 of these jobs.
    sha256: String,
    /// Bytes of the file when it was sent; for people.
    size: u64,
    /// Whether a call may still run: a run was killed, or ended without an answer.
    pub(crate) under_way: bool,
    pub(crate) counts: Counts,
    /// Calls that may have brought in some of their jobs before they were sent again.
    #[serde(default)]
    pub(crate) sent_again: u64,
    /// Bytes of the file of rejected jobs, of earlier runs or of these jobs. None: the bytes after them stay.
    pub(crate) rejected_bytes: Option<u64>,
}

/// The progress that was confirmed, and the file that keeps it.
pub(crate) struct Checkpoint {
    path: Option<PathBuf>,
    pub(crate) state: State,
    digest: Sha256,
    /// The state when this run began.
    pub(crate) before: State,
}

impl Checkpoint {
    /// Begins anew, or with what is kept for this service and owner.
    pub(crate) fn open(
        path: Option<PathBuf>,
        url: &str,
        owner: Option<&str>,
        size: Option<u64>,
        is_restart: bool,
    ) -> Result<Self, Error> {
        let kept = match &path {
            Some(path) if !is_restart => load(path)?,
            Some(_) | None => None,
        };
        let is_other = |kept: &State| kept.url != url || kept.owner.as_deref() != owner;
        // If nothing was confirmed, there is nothing to go on with.
        let kept = kept.filter(|kept| kept.jobs > 0 || !is_other(kept));
        if let (Some(path), Some(kept)) = (&path, &kept)
            && is_other(kept)
        {
            let owner = kept.owner.as_deref().map_or_else(String::new, |owner| format!(" --owner {owner}"));
            let what = format!(
                "the file was being sent with --url {}{owner}; go on with these, or add --restart to send all of it to the \
                 other one",
                kept.url
            );
            return Err(Error::State { path: path.clone(), what });
        }
        let before = kept.unwrap_or_else(|| State {
            version: VERSION,
            url: url.to_owned(),
            owner: owner.map(ToOwned::to_owned),
            rejected_bytes: is_restart.then_some(0),
            ..State::default()
        });
        let state = State { size: size.unwrap_or_default(), under_way: true, ..before.clone() };
        Ok(Self { path, state, digest: Sha256::new(), before })
    }

    /// Notes which service answers. If it is not the one that has what was confirmed, nothing is to be passed over.
    pub(crate) fn is_of(&mut self, service: &str) -> Result<(), Error> {
        let known = self.before.service.as_deref().filter(|_| self.before.jobs > 0);
        if let (Some(path), Some(known)) = (&self.path, known)
            && known != service
        {
            let what = format!(
                "the first {} jobs were sent to a service that is not there any more: it was emptied, or another one answers at its \
                 URL; add --restart to send all of the file to this one",
                self.before.jobs
            );
            return Err(Error::State { path: path.clone(), what });
        }
        self.state.service = Some(service.to_owned());
        Ok(())
    }

    /// Adds a job to the digest: a skipped one, or a confirmed one.
    pub(crate) fn digest(&mut self, job: &Job) {
        match &job.content {
            Content::Whole(text) | Content::Unfinished(text) => self.digest.update(text),
            Content::TooLong { start, bytes } => {
                self.digest.update(start);
                self.digest.update(bytes.to_be_bytes());
            }
        }
        self.digest.update(b"\n");
    }

    /// Whether the skipped jobs equal the confirmed ones.
    pub(crate) fn matches_source(&self) -> bool {
        self.before.jobs == 0 || self.hex() == self.before.sha256
    }

    /// Stores the state durably: all of it, or nothing.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        self.state.sha256 = self.hex();
        let Some(path) = &self.path else { return Ok(()) };
        write(path, &self.state).map_err(Error::file("write", path))
    }

    fn hex(&self) -> String {
        self.digest.clone().finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

fn load(path: &Path) -> Result<Option<State>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    match serde_json::from_slice::<State>(&bytes) {
        Ok(state) if state.version == VERSION => Ok(Some(state)),
        Ok(_) | Err(_) => {
            let what = "is no state of this version; add --restart to send all of the file again".to_owned();
            Err(Error::State { path: path.to_owned(), what })
        }
    }
}

fn write(path: &Path, state: &State) -> io::Result<()> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(state)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64, text: &str) -> Job {
        Job { number, content: Content::Whole(text.as_bytes().to_vec()) }
    }

    fn open(path: &Path, url: &str, owner: Option<&str>, is_restart: bool) -> Result<Checkpoint, Error> {
        Checkpoint::open(Some(path.to_owned()), url, owner, Some(7), is_restart)
    }

    #[test]
    fn what_is_kept_is_found_again_for_the_same_service_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut checkpoint = open(&path, "http://a", None, false).unwrap();
        checkpoint.digest(&job(1, "{}"));
        checkpoint.state.jobs = 1;
        checkpoint.save().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

        let mut again = open(&path, "http://a", None, false).unwrap();
        assert_eq!((again.state.jobs, &again.before.sha256), (1, &checkpoint.state.sha256));
        again.digest(&job(1, "{} "));
        assert!(!again.matches_source());
        for (url, owner) in [("http://b", None), ("http://a", Some("o"))] {
            let error = open(&path, url, owner, false).err().expect("an error").to_string();
            assert!(error.contains("--url http://a") && error.contains("--restart"), "{error}");
            assert_eq!(open(&path, url, owner, true).unwrap().state.jobs, 0);
        }
    }

    #[test]
    fn what_is_no_state_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "{", "{\"version\":2}"] {
            fs::write(file.path(), text).unwrap();
            assert!(matches!(open(file.path(), "http://a", None, false), Err(Error::State { .. })), "{text}");
        }
    }
}
