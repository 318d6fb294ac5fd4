//! The rejected jobs, and why: a line each, in a file of its own.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::FieldError;
use crate::error::Error;
use crate::source::{Content, Job};

/// The first bytes of each line. A file that begins otherwise belongs to the user, and must not be cut.
const MARK: &[u8] = b"{\"line\":";
const MARK_BYTES: u64 = MARK.len() as u64;
/// Most files of one name and numbers.
const MAX_NUMBER: u32 = 10_000;
/// Jobs are for their owner's eyes, as the file may be that they come from.
const MODE: u32 = 0o600;

/// A job of the file that was rejected.
#[derive(Debug, Serialize)]
pub(crate) struct Rejection<'a> {
    /// Its line, or its place in the array; the first 1.
    pub(crate) line: u64,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) errors: &'a [FieldError],
    /// How many more there are than the service had room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) errors_left_out: Option<u64>,
    pub(crate) job: Option<Text<'a>>,
}

/// A job as the file has it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Text<'a> {
    Json(&'a RawValue),
    /// Anything that is no JSON, as a text.
    Other(Cow<'a, str>),
}

impl<'a> Text<'a> {
    /// None of a job that is too long to be held.
    pub(crate) fn of(job: &'a Job) -> Option<Self> {
        match &job.content {
            Content::Whole(text) | Content::Unfinished(text) => {
                let json = serde_json::from_slice(text).map(Self::Json);
                Some(json.unwrap_or_else(|_| Self::Other(String::from_utf8_lossy(text))))
            }
            Content::TooLong { .. } => None,
        }
    }
}

/// The file, which comes to be with the first job.
pub(crate) struct Rejected {
    path: PathBuf,
    /// Whether the file must be a new one: else its name gets a number.
    is_new: bool,
    file: Option<File>,
    /// Bytes of the file with rejections of confirmed jobs.
    kept: u64,
}

impl Rejected {
    /// A file that is gone on with.
    pub(crate) fn of(path: PathBuf) -> Self {
        Self { path, is_new: false, file: None, kept: 0 }
    }

    /// A file of this run only.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { is_new: true, ..Self::of(path) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Goes on after this many bytes, and returns that position. The bytes after it belong to an unconfirmed call, and
    /// will be written again. None: goes on at the end of the file, whichever run wrote it.
    pub(crate) fn begin(&mut self, kept: Option<u64>) -> Result<u64, Error> {
        if self.is_new {
            return Ok(0);
        }
        let file = match OpenOptions::new().read(true).append(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::file("write", &self.path)(error)),
        };
        lock(&file, &self.path)?;
        self.kept = cut(&file, kept).map_err(Error::file("write", &self.path))?;
        self.file = Some(file);
        Ok(self.kept)
    }

    /// Writes these rejections; returns how many bytes the file has now.
    pub(crate) fn write(&mut self, rejections: &[Rejection<'_>]) -> Result<u64, Error> {
        if !rejections.is_empty() {
            let file = match self.file.take() {
                Some(file) => file,
                None => self.create()?,
            };
            self.kept = append(&file, rejections).map_err(Error::file("write", &self.path))?;
            self.file = Some(file);
        }
        Ok(self.kept)
    }

    fn create(&mut self) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.append(true).mode(MODE);
        if self.is_new {
            return self.create_new(options.create_new(true)).map_err(Error::file("write", &self.path));
        }
        let file = options.create(true).open(&self.path).map_err(Error::file("write", &self.path))?;
        lock(&file, &self.path)?;
        Ok(file)
    }

    /// Under its name, or the first one with a number (`a.rejected.ndjson`, `a.2.rejected.ndjson`) that nothing has yet.
    fn create_new(&mut self, options: &OpenOptions) -> io::Result<File> {
        let name = self.path.clone();
        for number in 1..=MAX_NUMBER {
            if number > 1 {
                self.path = numbered(&name, number);
            }
            match options.open(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return opened,
            }
        }
        Err(io::Error::other("there are too many such files; name another with --rejected"))
    }
}

/// Until the file is closed, no other process may write to it or cut it.
fn lock(file: &File, path: &Path) -> Result<(), Error> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(Error::Busy(path.to_owned())),
        // Not every file system knows locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn cut(mut file: &File, kept: Option<u64>) -> io::Result<u64> {
    let mut mark = Vec::new();
    (&mut file).take(MARK_BYTES).read_to_end(&mut mark)?;
    if !MARK.starts_with(&mark) {
        return Err(io::Error::other("it has something else; name another with --rejected"));
    }
    let bytes = file.metadata()?.len();
    // Meanwhile the user may have removed lines.
    let kept = kept.map_or(bytes, |kept| kept.min(bytes));
    if kept < bytes {
        file.set_len(kept)?;
    }
    Ok(kept)
}

fn append(file: &File, rejections: &[Rejection<'_>]) -> io::Result<u64> {
    let mut out = BufWriter::new(file);
    for rejection in rejections {
        serde_json::to_writer(&mut out, rejection)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);
    file.sync_data()?;
    Ok(file.metadata()?.len())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (first, rest) = name.split_once('.').unwrap_or((&name, ""));
    path.with_file_name(format!("{first}.{number}.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rejected_comes_as_the_file_has_it() {
        let told = |content: Content| {
            let job = Job { number: 7, content };
            serde_json::to_string(&Text::of(&job)).unwrap()
        };
        for (text, expect) in [
            // No number changes on its way.
            ("{\"b\":1.10, \"a\":12345678901234567890}", "{\"b\":1.10, \"a\":12345678901234567890}"),
            ("[]", "[]"),
            ("{\"a", "\"{\\\"a\""),
        ] {
            assert_eq!(told(Content::Whole(text.into())), expect);
        }
        assert_eq!(told(Content::Whole(b"\xff".to_vec())), "\"\u{fffd}\"");
        assert_eq!(told(Content::TooLong { start: b"{".to_vec(), bytes: 2 }), "null");
    }

    #[test]
    fn a_new_file_takes_the_first_name_that_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let line = [Rejection { line: 1, external_id: None, errors: &[], errors_left_out: None, job: None }];
        for name in ["a.rejected.ndjson", "a.2.rejected.ndjson", "a.3.rejected.ndjson"] {
            let mut rejected = Rejected::new(folder.path().join("a.rejected.ndjson"));
            assert_eq!(rejected.begin(None).unwrap(), 0);
            let bytes = rejected.write(&line).unwrap();
            assert_eq!(rejected.path(), folder.path().join(name));
            assert_eq!(std::fs::metadata(rejected.path()).unwrap().len(), bytes);
        }
    }
}
