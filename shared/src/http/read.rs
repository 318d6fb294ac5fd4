//! How single values of a JSON body are read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use crate::domain::{Invalid, JobId, Json, Labels, MicroDollars, Percent, Timestamp, bounded};

/// How deep JSON that is kept may be nested: many of those who will read it give up soon after.
const MAX_DEPTH: usize = 120;

/// A JSON value as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub &'a RawValue);

impl Raw<'_> {
    fn string(self) -> Result<String, Invalid> {
        serde_json::from_str(self.0.get()).map_err(|_| Invalid::new("must be a string"))
    }
}

/// A string that must fit a type.
pub fn text<T: TryFrom<String, Error = Invalid>>(raw: Raw<'_>) -> Result<T, Invalid> {
    T::try_from(raw.string()?)
}

/// A whole number within bounds.
pub fn integer<N: TryFrom<i64>>(raw: Raw<'_>, range: RangeInclusive<i64>) -> Result<N, Invalid> {
    let wrong = || Invalid(format!("must be a whole number from {} to {}", range.start(), range.end()));
    let value: i64 = serde_json::from_str(raw.0.get()).map_err(|_| wrong())?;
    let value = bounded(value, range.clone()).map_err(|_| wrong())?;
    N::try_from(value).map_err(|_| wrong())
}

/// Yes or no.
pub fn flag(raw: Raw<'_>) -> Result<bool, Invalid> {
    serde_json::from_str(raw.0.get()).map_err(|_| Invalid::new("must be true or false"))
}

/// A share of a whole: a number from 0 to 100, rounded to hundredths.
pub fn percent(raw: Raw<'_>) -> Result<Percent, Invalid> {
    Percent::try_from(raw.0.get())
}

/// A job's id.
pub fn job_id(raw: Raw<'_>) -> Result<JobId, Invalid> {
    JobId::try_from(raw.string()?.as_str())
}

/// An array of so many values, each as it was written.
pub(super) fn list(raw: Raw<'_>, lengths: &RangeInclusive<usize>) -> Result<Vec<Json>, Invalid> {
    let wrong = || Invalid(format!("must be an array of {} to {} values", lengths.start(), lengths.end()));
    let values: Vec<Json> = serde_json::from_str(raw.0.get()).map_err(|_| wrong())?;
    if lengths.contains(&values.len()) { Ok(values) } else { Err(wrong()) }
}

/// A time.
pub fn timestamp(raw: Raw<'_>) -> Result<Timestamp, Invalid> {
    Timestamp::parse(&raw.string()?)
}

/// Any JSON, kept as it was written.
pub fn json(raw: Raw<'_>) -> Result<Json, Invalid> {
    if depth(raw.0.get()) <= MAX_DEPTH {
        Ok(raw.0.to_owned())
    } else {
        Err(Invalid(format!("must be nested at most {MAX_DEPTH} levels deep")))
    }
}

/// How deep arrays and objects are nested in a JSON text.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A JSON object, kept as it was written.
pub fn object(raw: Raw<'_>) -> Result<Json, Invalid> {
    if raw.0.get().starts_with('{') { json(raw) } else { Err(Invalid::new("must be an object")) }
}

/// Labels: an object of strings.
pub fn labels(raw: Raw<'_>) -> Result<Labels, Invalid> {
    let map: BTreeMap<String, String> =
        serde_json::from_str(raw.0.get()).map_err(|_| Invalid::new("must be an object of strings"))?;
    Labels::try_from(map)
}

/// An amount of US dollars: a decimal string, or a number that is written as one.
pub fn money(raw: Raw<'_>) -> Result<MicroDollars, Invalid> {
    let written = raw.0.get();
    let text = if written.starts_with('"') { raw.string()? } else { written.to_owned() };
    MicroDollars::try_from(text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_what_is_no_text() {
        for (json, expect) in [("1", 0), ("[]", 1), (r#"{"a":[{}],"b":[]}"#, 3), (r#"["[[[\"[["]"#, 1)] {
            assert_eq!(depth(json), expect, "{json}");
        }
    }
}
