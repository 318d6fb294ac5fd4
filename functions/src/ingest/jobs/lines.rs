//! Cutting a body into jobs: a JSON array, or a line each (NDJSON).

use jobledger::http::Problem;
use serde_json::value::RawValue;

/// Some editors begin a file with it; and files that were put one after the other have it in between.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// The same in UTF-16.
const BYTE_ORDER_MARKS_OF_UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// How gzip begins (RFC 1952).
const GZIP: &[u8] = b"\x1f\x8b";

/// The jobs of a body with their numbers, the first 1: the line, or the place in the array.
pub(crate) fn split(body: &[u8]) -> Result<Vec<(usize, &[u8])>, Problem> {
    // Else every line of these would be refused, for as many puzzling reasons.
    if body.starts_with(GZIP) {
        return Err(Problem::invalid_json(
            "the body is gzip: pack it once, and say so with the header Content-Encoding: gzip",
        ));
    }
    if is_wide(body) {
        return Err(Problem::invalid_json("the body is UTF-16 or UTF-32: send it as UTF-8"));
    }
    let body = without_mark(body);
    let jobs: Vec<(usize, &[u8])> = if body.trim_ascii_start().starts_with(b"[") {
        let array: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid_json(format!("the body is no JSON array of jobs: {error}")))?;
        (1..).zip(array).map(|(number, job)| (number, job.get().as_bytes())).collect()
    } else {
        let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
        let lines = lines.map(|(number, line)| (number, without_mark(line).trim_ascii()));
        lines.filter(|(_, line)| !line.is_empty()).collect()
    };
    if jobs.is_empty() {
        return Err(Problem::invalid_json(
            "the body holds no jobs: send a JSON array of them, or one a line",
        ));
    }
    Ok(jobs)
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Whether a body is in an encoding of several bytes a character: JSON begins with ASCII, and has no zero bytes.
fn is_wide(body: &[u8]) -> bool {
    BYTE_ORDER_MARKS_OF_UTF_16.iter().any(|mark| body.starts_with(mark))
        || body.iter().take(4).any(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expect: &[(usize, &str)]) {
        let jobs = split(body.as_bytes()).unwrap();
        let jobs: Vec<_> = jobs.iter().map(|(n, job)| (*n, std::str::from_utf8(job).unwrap())).collect();
        assert_eq!(jobs, expect, "{body}");
    }

    #[test]
    fn arrays_and_lines_are_both_cut() {
        check("[{\"a\":1}, 2]", &[(1, "{\"a\":1}"), (2, "2")]);
        check("{\"a\":1}\r\n\n{broken\n", &[(1, "{\"a\":1}"), (3, "{broken")]);
        check("\u{feff}{}", &[(1, "{}")]);
        check("\u{feff}[1]", &[(1, "1")]);
        check("\u{feff} \n\u{feff}{}\r\n\u{feff}\n2", &[(2, "{}"), (4, "2")]);
        check("1\n 2\u{feff}", &[(1, "1"), (2, "2\u{feff}")]);
        for bad in ["", " \n\n", "[]", "[{}"] {
            assert!(split(bad.as_bytes()).is_err(), "{bad}");
        }
        for wide in [&b"\xff\xfe{\0}\0"[..], b"\xfe\xff\0{\0}", b"{\0}\0", b"\0{\0}", b"\0\0\0{", b"{\0\0\0"]
        {
            assert!(split(wide).is_err(), "{wide:?}");
        }
    }
}
