//! The forms of the file, written piece by piece.

use jobledger::domain::{Job, Timestamp};
use jobledger::http::{Format, JobView};

use super::table;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct File {
    format: Format,
    /// The bytes that nobody has taken yet.
    text: Vec<u8>,
    /// The separator between one job and the next, in an array.
    between: &'static [u8],
    /// As of when the jobs are shown.
    now: Timestamp,
}

/// Why a job could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Into a table.
    #[error("a job could not be written into a table")]
    Table(#[from] csv::Error),
    /// As JSON.
    #[error("a job could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl File {
    /// Begins a file.
    pub(crate) fn begin(format: Format, now: Timestamp) -> Result<Self, WriteError> {
        let mut text = Vec::new();
        match format {
            Format::Csv => table::write_names(&mut text)?,
            Format::Json => text.push(b'['),
            Format::NdJson => {}
        }
        Ok(Self { format, text, between: b"\n", now })
    }

    /// Writes jobs.
    pub(crate) fn add(&mut self, jobs: &[Job]) -> Result<(), WriteError> {
        match self.format {
            Format::Csv => table::write_jobs(&mut self.text, jobs, self.now)?,
            Format::Json => {
                for job in jobs {
                    self.text.extend_from_slice(std::mem::replace(&mut self.between, b",\n"));
                    serde_json::to_writer(&mut self.text, &JobView::new(job, self.now))?;
                }
            }
            Format::NdJson => {
                for job in jobs {
                    serde_json::to_writer(&mut self.text, &JobView::new(job, self.now))?;
                    self.text.push(b'\n');
                }
            }
        }
        Ok(())
    }

    /// Closes what is open. Without it, a table or lines look whole: only the transfer tells that they are not.
    pub(crate) fn end(&mut self) {
        match self.format {
            Format::Csv | Format::NdJson => {}
            Format::Json => self.text.extend_from_slice(b"\n]\n"),
        }
    }

    /// Takes the bytes that were written since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }
}
