//! A job a line (NDJSON).

use std::io::{self, BufRead, Read as _};

use serde::de::IgnoredAny;

use super::{BYTE_ORDER_MARK, Content, Fault, Job, MAX_JOB_BYTES, peek};

const FIRST_OF_MARK: u8 = BYTE_ORDER_MARK[0];

pub(super) struct Lines<R> {
    reader: R,
    number: u64,
    /// Whether none was read yet.
    is_first: bool,
}

impl<R: BufRead> Lines<R> {
    /// The lines after this number.
    pub(super) fn new(reader: R, number: u64) -> Self {
        Self { reader, number, is_first: true }
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> Result<Option<Job>, Fault> {
        // One more than fits, for the end of the line.
        let bound = u64::try_from(MAX_JOB_BYTES + 1).unwrap_or(u64::MAX);
        loop {
            let mut line = Vec::new();
            let read = self.reader.by_ref().take(bound).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
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
                let is_first = std::mem::take(&mut self.is_first);
                let json = if is_first || !ends { serde_json::from_slice(text) } else { Ok(IgnoredAny) };
                let is_cut = json.as_ref().is_err_and(serde_json::Error::is_eof);
                let is_finished = ends || json.is_ok();
                let text = text.to_vec();
                if is_first && ends && is_cut && self.goes_on()? {
                    return Err(Fault::Pretty);
                }
                if is_finished { Content::Whole(text) } else { Content::Unfinished(text) }
            };
            self.is_first = false;
            return Ok(Some(Job { number, content }));
        }
    }

    /// Whether what follows a line that breaks off cannot begin a job: then one job has several lines.
    fn goes_on(&mut self) -> io::Result<bool> {
        loop {
            match peek(&mut self.reader)? {
                Some(byte) if byte.is_ascii_whitespace() => {
                    self.number += u64::from(byte == b'\n');
                    self.reader.consume(1);
                }
                Some(byte) => return Ok(!matches!(byte, b'{' | FIRST_OF_MARK)),
                None => return Ok(false),
            }
        }
    }
}
