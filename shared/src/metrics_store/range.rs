//! A query over a range of time, as a caller asks for it.
//!
//! Stores differ where a value is missing or does not fit: some align the first point to the step, and some do not; some choose
//! a step, and some refuse the query. So the query is made complete here, and all stores answer the same.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::{Invalid, Timestamp, parse_bound_start};

/// Most points of a series: as many as Prometheus gives.
const MAX_POINTS: i64 = 11_000;
/// Longest query, in bytes.
const MAX_QUERY_BYTES: usize = 4_096;
/// Longest range, in milliseconds: 400 days.
const MAX_RANGE_MS: i64 = 400 * 24 * 3_600_000;
/// Points of a range if nobody says how many.
const POINTS: i64 = 250;
/// The shortest step if nobody says which, in milliseconds.
const MIN_STEP_MS: i64 = 15_000;
/// The characters of a form that stay as they are.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A query, and the times of its points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeQuery {
    query: String,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl RangeQuery {
    /// A query from one time to another. Its points are at whole multiples of the step.
    ///
    /// # Errors
    ///
    /// If a value cannot be used, with the name of its parameter.
    pub fn new(
        query: &str,
        start: Timestamp,
        end: Timestamp,
        step_ms: Option<i64>,
    ) -> Result<Self, (&'static str, Invalid)> {
        if query.trim().is_empty() || query.len() > MAX_QUERY_BYTES {
            return Err(("query", Invalid(format!("must be 1 to {MAX_QUERY_BYTES} bytes of PromQL"))));
        }
        let range_ms = end.millis() - start.millis();
        if range_ms < 0 {
            return Err(("end", Invalid::new("must not be before start")));
        }
        if range_ms > MAX_RANGE_MS {
            return Err(("start", Invalid::new("must be at most 400 days before end")));
        }
        let step_ms =
            step_ms.unwrap_or_else(|| (range_ms / POINTS).max(MIN_STEP_MS).div_euclid(1_000) * 1_000);
        let align = |time: Timestamp| time.millis().div_euclid(step_ms) * step_ms;
        let (start_ms, end_ms) = (align(start), align(end));
        if (end_ms - start_ms) / step_ms + 1 > MAX_POINTS {
            return Err((
                "step",
                Invalid(format!("must be longer: a series has at most {MAX_POINTS} points")),
            ));
        }
        Ok(Self { query: query.to_owned(), start_ms, end_ms, step_ms })
    }

    /// The body of the request.
    pub(super) fn form(&self) -> String {
        form(&[
            ("query", &self.query),
            ("start", &seconds(self.start_ms)),
            ("end", &seconds(self.end_ms)),
            ("step", &seconds(self.step_ms)),
        ])
    }
}

/// Milliseconds as seconds, as every store reads them.
pub(super) fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1_000), millis.rem_euclid(1_000))
}

/// The fields of a form, as a body.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, FORM)));
    fields.collect::<Vec<_>>().join("&")
}

/// Reads a time: as everywhere in this service, or in seconds since 1970, as Prometheus has it.
///
/// # Errors
///
/// If it is neither.
pub fn moment(text: &str) -> Result<Timestamp, Invalid> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    if !digits(whole) || !digits(places) || whole.len() < 5 || whole.len() > 11 {
        return parse_bound_start(text);
    }
    let millis: String = places.chars().chain("000".chars()).take(3).collect();
    let number = |text: &str| text.parse::<i64>().unwrap_or(0);
    Ok(Timestamp::from_millis(number(whole) * 1_000 + number(&millis)))
}

/// Reads a step, in milliseconds: seconds, or a number with `ms`, `s`, `m`, `h`, `d` or `w`.
///
/// # Errors
///
/// If it is neither, or 0.
pub fn step(text: &str) -> Result<i64, Invalid> {
    let units =
        [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];
    let unit = units.iter().find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, *millis)));
    let (number, millis) = unit.unwrap_or((text, 1_000));
    let (whole, places) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = [whole, places]
        .iter()
        .all(|part| !part.is_empty() && part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit()));
    let thousandths: String = places.chars().chain("000".chars()).take(3).collect();
    let value = whole.parse::<i64>().ok().zip(thousandths.parse::<i64>().ok());
    let step = value.filter(|_| is_number).map(|(whole, rest)| whole * millis + rest * millis / 1_000);
    step.filter(|step| (1..=MAX_RANGE_MS).contains(step))
        .ok_or_else(|| Invalid::new("must be a time such as 15s, 1m or 1h, or a number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_forms() {
        let millis = |text: &str| moment(text).ok().map(Timestamp::millis);
        assert_eq!(millis("2026-01-11T05:00:00Z"), Some(1_768_107_600_000));
        assert_eq!(millis("1768107600"), Some(1_768_107_600_000));
        assert_eq!(millis("1768107600.25"), Some(1_768_107_600_250));
        assert_eq!(millis("1768107600.2504"), Some(1_768_107_600_250));
        for bad in ["", "now", "-5", "1768107600.", "12345678901234", "1e9"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn steps_are_read_in_both_forms() {
        for (text, millis) in [
            ("15", 15_000),
            ("0.5", 500),
            ("15s", 15_000),
            ("250ms", 250),
            ("1.5m", 90_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(step(text).unwrap(), millis, "{text}");
        }
        for bad in ["", "0", "0s", "s", "-1", "1y", "1h30m", "1.", ".5", "99999999999"] {
            assert!(step(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_query_is_complete_and_its_points_are_aligned() {
        let at = |millis| Timestamp::from_millis(millis);
        let form =
            |start, end, step| RangeQuery::new("up", at(start), at(end), step).map(|query| query.form());
        assert_eq!(
            form(61_000, 125_500, Some(30_000)).unwrap(),
            "query=up&start=60.000&end=120.000&step=30.000"
        );
        // Without a step, a range has about 250 points.
        assert_eq!(form(0, 3_600_000, None).unwrap(), "query=up&start=0.000&end=3600.000&step=15.000");
        assert_eq!(form(0, 86_400_000, None).unwrap(), "query=up&start=0.000&end=86250.000&step=345.000");
        let field = |result: Result<String, (&'static str, Invalid)>| result.unwrap_err().0;
        assert_eq!(field(form(1, 0, None)), "end");
        assert_eq!(field(form(0, MAX_RANGE_MS + 1, None)), "start");
        assert_eq!(field(form(0, MAX_POINTS * 1_000, Some(1_000))), "step");
        assert!(form(0, (MAX_POINTS - 1) * 1_000, Some(1_000)).is_ok());
        for bad in [" ", &"x".repeat(MAX_QUERY_BYTES + 1)] {
            assert_eq!(RangeQuery::new(bad, at(0), at(1), None).unwrap_err().0, "query");
        }
        let query = RangeQuery::new("a{b=\"c&d\"} + 1", at(0), at(0), Some(1_000)).unwrap();
        assert!(
            query.form().starts_with("query=a%7Bb%3D%22c%26d%22%7D%20%2B%201&start="),
            "{}",
            query.form()
        );
    }
}
