//! The summary at the end, on standard output.

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use crate::state::Counts;

/// Exit code where some jobs did not go in.
const SOME_REJECTED: u8 = 1;

/// The outcomes of a file's jobs, in all runs together.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) file: String,
    /// Whether nothing was sent, because that was asked for.
    pub(crate) dry_run: bool,
    /// Whether all of the file has been sent.
    pub(crate) finished: bool,
    /// Jobs that the service has answered about, or that could not be sent.
    pub(crate) jobs: u64,
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// The file that lists the rejected jobs, if there are any.
    pub(crate) rejected_file: Option<String>,
    /// Jobs of these that were sent by earlier runs.
    pub(crate) jobs_before: u64,
    /// Calls of this run that were confirmed.
    pub(crate) calls: u64,
    /// Calls of all runs that may have brought in some of their jobs before they were sent again.
    pub(crate) sent_again: u64,
}

impl Summary {
    /// The exit code of the process, if nothing stopped it.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.counts.rejected == 0 { 0 } else { SOME_REJECTED }
    }

    /// Tells it.
    pub(crate) fn print(&self, is_json: bool) {
        if is_json {
            // Texts and numbers are always JSON.
            println!("{}", serde_json::to_string(self).unwrap_or_default());
        } else {
            println!("{}", self.text());
        }
    }

    fn text(&self) -> String {
        let Counts { created, updated, unchanged, rejected, superseded } = self.counts;
        let file = &self.file;
        let jobs = format!("{} job{}", HumanCount(self.jobs), if self.jobs == 1 { "" } else { "s" });
        let mut text = if self.dry_run {
            format!("{file} has {jobs}, of which {} cannot be sent; nothing was sent", HumanCount(rejected))
        } else {
            let begin = match (self.finished, self.jobs == self.jobs_before && self.jobs > 0) {
                (true, true) => format!("already sent: {file}, {jobs}"),
                (true, false) => format!("sent: {file}, {jobs}"),
                (false, _) => format!("sent so far: {jobs} of {file}"),
            };
            format!(
                "{begin}: {} created, {} updated, {} unchanged, {} rejected",
                HumanCount(created),
                HumanCount(updated),
                HumanCount(unchanged),
                HumanCount(rejected)
            )
        };
        // Writing to a string cannot fail.
        if superseded > 0 {
            let _ = write!(text, ", {} superseded by later lines", HumanCount(superseded));
        }
        if self.sent_again > 0 {
            let calls = HumanCount(self.sent_again);
            let _ = write!(
                text,
                "\ncalls that had to be sent again: {calls}; what they had brought in before is counted as unchanged"
            );
        }
        if let Some(path) = &self.rejected_file {
            let _ = write!(text, "\nwhat was rejected, why, and the jobs themselves: {path}");
        }
        text
    }
}
