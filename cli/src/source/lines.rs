//! A job a line (NDJSON).

use std::io::{self, BufRead, Read as _};

use serde::de::IgnoredAny;

use super::{BYTE_ORDER_MARK, Content, Job, MAX_JOB_BYTES};

pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// What follows so many lines.
    pub(super) fn new(reader: R, number: u64) -> Self {
        Self { reader, number }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Job>> {
        // One more than fits, for the end of the line.
        let bound = u64::try_from(MAX_JOB_BYTES + 1).unwrap_or(u64::MAX);
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(bound).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let ends = line.ends_with(b"\n");
            let content = if !ends && read > MAX_JOB_BYTES {
                let more = self.reader.skip_until(b'\n')?;
                Content::TooLong { start: line, bytes: u64::try_from(read + more).unwrap_or(u64::MAX) }
            } else {
                // Files that were put one after the other have one in between.
                let text = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line).trim_ascii();
                if text.is_empty() {
                    continue;
                }
                let is_json = || serde_json::from_slice::<IgnoredAny>(text).is_ok();
                let is_finished = ends || is_json();
                let text = text.to_vec();
                if is_finished { Content::Whole(text) } else { Content::Unfinished(text) }
            };
            return Ok(Some(Job { number: self.number, content }));
        }
    }
}
