//! Lines that did not go in: told as fully as one answer can.

use jobledger::http::{FieldError, MAX_ANSWER_BYTES};
use serde::Serialize;

/// Most errors told of one line.
const MAX_ERRORS: usize = 100;
/// The most bytes that all lines together may take of the answer; the rest is for the counts.
const MAX_BYTES: usize = MAX_ANSWER_BYTES - 1_000;
/// The most bytes that a line takes if all its errors are left out: a number of 5 digits, one of 7, and the names.
const LEAST_BYTES: usize = 150;

/// A line that did not go in, and why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rejected {
    pub(crate) line: usize,
    pub(crate) external_id: Option<String>,
    /// Why, if that is a problem of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<&'static str>,
    pub(crate) errors: Vec<FieldError>,
    /// How many more errors there are: an answer has an end.
    #[serde(skip_serializing_if = "is_zero")]
    errors_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Rejected {
    pub(crate) fn new(line: usize, external_id: Option<String>, mut errors: Vec<FieldError>) -> Self {
        let errors_left_out = errors.len().saturating_sub(MAX_ERRORS);
        errors.truncate(MAX_ERRORS);
        Self { line, external_id, code: None, errors, errors_left_out }
    }

    /// The same with the code of a problem.
    pub(crate) fn with_code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    /// The same with so many errors only.
    fn shortened(mut self, errors: usize) -> Self {
        self.errors_left_out += self.errors.len().saturating_sub(errors);
        self.errors.truncate(errors);
        self
    }

    /// The same in as few bytes as can be.
    fn least(self) -> Self {
        Self { external_id: None, code: None, ..self.shortened(0) }
    }

    /// How many bytes it takes as it leaves: in a JSON text, each quotation mark and backslash is two.
    fn bytes(&self) -> usize {
        let json = serde_json::to_vec(self).unwrap_or_default();
        json.len() + json.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count() + 1
    }
}

/// The lines in their order, each with as many of its errors as fit: all, else the first, else none. The lines after it
/// are always told, too.
pub(crate) fn fitting(mut lines: Vec<Rejected>) -> Vec<Rejected> {
    lines.sort_by_key(|line| line.line);
    let mut left = MAX_BYTES.saturating_sub(lines.len() * LEAST_BYTES);
    let fit = |line: Rejected| {
        let mut spend = |line: &Rejected| {
            let more = line.bytes().saturating_sub(LEAST_BYTES);
            let fits = more <= left;
            left -= if fits { more } else { 0 };
            fits
        };
        if spend(&line) {
            return line;
        }
        let line = line.shortened(1);
        if spend(&line) { line } else { line.least() }
    };
    lines.into_iter().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use jobledger::domain::Invalid;

    use super::*;

    fn line(number: usize, errors: usize, message: &str) -> Rejected {
        let error = |index: usize| FieldError::new(format!("f{index}"), Invalid::new(message));
        Rejected::new(number, Some("\"".repeat(128)), (0..errors).map(error).collect())
    }

    fn told(lines: &[Rejected]) -> usize {
        lines.iter().map(|line| line.errors.len() + line.errors_left_out).sum()
    }

    #[test]
    fn what_fits_is_told_whole() {
        let lines = fitting(vec![line(2, 3, "x"), line(1, 100, "x"), line(3, 101, "x")]);
        assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(lines.iter().map(|line| line.errors.len()).collect::<Vec<_>>(), [100, 3, 100]);
        assert_eq!(lines.iter().map(|line| line.errors_left_out).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[test]
    fn every_line_is_told_within_the_bound() {
        for (errors, message) in [(2, "x".repeat(300)), (1, "\"".repeat(300)), (2, "x".into())] {
            let lines = fitting((1..=10_000).map(|number| line(number, errors, &message)).collect());
            assert_eq!((lines.len(), told(&lines)), (10_000, errors * 10_000));
            let bytes: usize = lines.iter().map(Rejected::bytes).sum();
            assert!(bytes <= MAX_BYTES, "{bytes}");
            assert_eq!(lines.first().unwrap().errors.len(), errors);
        }
        let least = Rejected { errors_left_out: 9_999_999, ..line(10_000, 0, "").least() };
        assert!(least.bytes() <= LEAST_BYTES);
    }
}
