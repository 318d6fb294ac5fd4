//! What did not go in, and why: a line each, in a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use crate::answer::FieldError;
use crate::error::Error;

/// How each line begins: what begins otherwise is somebody's file, and must not be cut.
const MARK: &[u8] = b"{\"line\":";
const MARK_BYTES: u64 = MARK.len() as u64;

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
}

/// The file, which comes to be with the first job.
pub(crate) struct Rejected {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of the file that tell of confirmed jobs.
    kept: u64,
}

impl Rejected {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None, kept: 0 }
    }

    /// Goes on after so many bytes; what follows them is of a call that was not confirmed, and will be told again.
    pub(crate) fn begin(&mut self, kept: u64) -> Result<(), Error> {
        let open = || match OpenOptions::new().read(true).append(true).open(&self.path) {
            Ok(mut file) => {
                let mut mark = Vec::new();
                (&mut file).take(MARK_BYTES).read_to_end(&mut mark)?;
                if !MARK.starts_with(&mark) {
                    return Err(io::Error::other("it has something else; name another with --rejected"));
                }
                // Somebody may have taken lines out meanwhile.
                let kept = kept.min(file.metadata()?.len());
                file.set_len(kept)?;
                Ok((Some(file), kept))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((None, 0)),
            Err(error) => Err(error),
        };
        (self.file, self.kept) = open().map_err(Error::file("write", &self.path))?;
        Ok(())
    }

    /// Writes these down, and says how many bytes the file has now.
    pub(crate) fn write(&mut self, rejections: &[Rejection<'_>]) -> Result<u64, Error> {
        if !rejections.is_empty() {
            self.append(rejections).map_err(Error::file("write", &self.path))?;
        }
        Ok(self.kept)
    }

    fn append(&mut self, rejections: &[Rejection<'_>]) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new().create(true).append(true).open(&self.path)?,
        };
        let mut out = BufWriter::new(&file);
        for rejection in rejections {
            serde_json::to_writer(&mut out, rejection)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        drop(out);
        file.sync_data()?;
        self.kept = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }
}
