//! Cutting a body into jobs: a JSON array, or a line each (NDJSON).

use jobledger::http::Problem;
use serde_json::value::RawValue;

/// The jobs of a body with their numbers, the first 1: the line, or the place in the array.
pub(crate) fn split(body: &[u8]) -> Result<Vec<(usize, &[u8])>, Problem> {
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let jobs: Vec<(usize, &[u8])> = if body.trim_ascii_start().starts_with(b"[") {
        let array: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| Problem::invalid_json(format!("the body is no JSON array of jobs: {error}")))?;
        (1..).zip(array).map(|(number, job)| (number, job.get().as_bytes())).collect()
    } else {
        let lines = (1..).zip(body.split(|byte| *byte == b'\n'));
        lines.map(|(number, line)| (number, line.trim_ascii())).filter(|(_, line)| !line.is_empty()).collect()
    };
    if jobs.is_empty() {
        return Err(Problem::invalid_json(
            "the body holds no jobs: send a JSON array of them, or one a line",
        ));
    }
    Ok(jobs)
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
        for bad in ["", " \n\n", "[]", "[{}"] {
            assert!(split(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
