//! How single values of a JSON body are read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use super::object::distinct;
use crate::domain::{
    Artifact, Invalid, JobError, JobId, Json, LabelChanges, Labels, MicroDollars, Percent, StatusInput,
    Timestamp, bounded,
};

/// Most stages that a job may tell the seconds of.
const MAX_TIMINGS: usize = 100;
/// Most artifacts that a job may have.
const MAX_ARTIFACTS: usize = 100;

/// How deep JSON that is kept may be nested: many of those who will read it give up soon after.
const MAX_DEPTH: usize = 120;

/// A JSON value as it was written.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(pub &'a RawValue);

impl Raw<'_> {
    fn string(self) -> Result<String, Invalid> {
        let written = self.0.get();
        serde_json::from_str(written).map_err(|_| {
            Invalid::new(if written.starts_with('"') {
                "must be a string of whole characters: half of a surrogate pair is none"
            } else {
                "must be a string"
            })
        })
    }
}

/// A string that must fit a type.
pub fn text<T: TryFrom<String, Error = Invalid>>(raw: Raw<'_>) -> Result<T, Invalid> {
    T::try_from(raw.string()?)
}

/// A text that only tells, such as a name for people: as much of it as fits. `None`: the text shows nothing.
pub fn told<T>(raw: Raw<'_>, read: fn(&str) -> Option<T>) -> Result<Option<T>, Invalid> {
    Ok(read(&raw.string()?))
}

/// A whole number within bounds; also written `5.0`, as programs write a float that is whole.
pub fn integer<N: TryFrom<i64>>(raw: Raw<'_>, range: RangeInclusive<i64>) -> Result<N, Invalid> {
    let wrong = || Invalid(format!("must be a whole number from {} to {}", range.start(), range.end()));
    let written = raw.0.get();
    let whole = match written.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) | None => written,
    };
    let value: i64 = whole.parse().map_err(|_| wrong())?;
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
    let is_number = raw.0.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if is_number {
        // Seconds or milliseconds since 1970, or since another year: a number does not say.
        return Err(Invalid::new("must be a string, such as \"2026-01-11T05:00:00.000Z\", and no number"));
    }
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
    let wrong = || Invalid::new("must be an object of strings, each name once");
    Labels::try_from(distinct::<String>(raw.0.get()).ok_or_else(wrong)?)
}

/// Changes of labels: an object of strings, or null for a label that goes.
pub fn label_changes(raw: Raw<'_>) -> Result<LabelChanges, Invalid> {
    let wrong = || Invalid::new("must be an object of strings or null, each name once");
    LabelChanges::try_from(distinct::<Option<String>>(raw.0.get()).ok_or_else(wrong)?)
}

/// An amount of US dollars: a number, or a string of one.
pub fn money(raw: Raw<'_>) -> Result<MicroDollars, Invalid> {
    let written = raw.0.get();
    let text = if written.starts_with('"') { raw.string()? } else { written.to_owned() };
    MicroDollars::try_from(text.as_str())
}

/// A status, also in the words of older services.
pub fn status(raw: Raw<'_>) -> Result<StatusInput, Invalid> {
    StatusInput::try_from(raw.string()?.as_str())
}

/// An error: a message, or an object of one, the task that failed, and a word for programs. Its texts only tell, so they
/// are cut and filled in: if they were refused, the report would be lost, and the job would run again.
pub fn job_error(raw: Raw<'_>) -> Result<JobError, Invalid> {
    let wrong = || {
        Invalid::new(
            "must be a message, or an object of message, failed_task and code, all strings, each once",
        )
    };
    let written = raw.0.get();
    let (message, failed_task, code) = if written.starts_with('"') {
        (raw.string()?, None, None)
    } else {
        let mut said: BTreeMap<String, Option<String>> = distinct(written).ok_or_else(wrong)?;
        let message = said.remove("message").flatten().unwrap_or_default();
        let (failed_task, code) = (said.remove("failed_task").flatten(), said.remove("code").flatten());
        if !said.is_empty() {
            return Err(wrong());
        }
        (message, failed_task, code)
    };
    Ok(JobError::told(message, failed_task, code))
}

/// Seconds by stage: an object of numbers that are not negative.
pub fn timings(raw: Raw<'_>) -> Result<BTreeMap<String, serde_json::Number>, Invalid> {
    let wrong = || {
        Invalid(format!("must be an object of at most {MAX_TIMINGS} stages, each once, and their seconds"))
    };
    let timings: BTreeMap<String, serde_json::Number> = distinct(raw.0.get()).ok_or_else(wrong)?;
    let negative = |number: &serde_json::Number| number.as_f64().is_none_or(f64::is_sign_negative);
    if timings.len() > MAX_TIMINGS || timings.values().any(negative) { Err(wrong()) } else { Ok(timings) }
}

/// The artifacts that a job made: an array of objects, each with a name and all else that is known of it.
pub fn artifacts(raw: Raw<'_>) -> Result<Vec<Artifact>, Invalid> {
    let wrong = |what: String| {
        Invalid(format!(
            "must be an array of at most {MAX_ARTIFACTS} objects of name, and if known size_bytes, content_type and \
             attributes: {what}"
        ))
    };
    if depth(raw.0.get()) > MAX_DEPTH {
        return Err(wrong(format!("they are nested more than {MAX_DEPTH} levels deep")));
    }
    let artifacts: Vec<Artifact> =
        serde_json::from_str(raw.0.get()).map_err(|error| wrong(error.to_string()))?;
    if artifacts.len() > MAX_ARTIFACTS {
        return Err(wrong(format!("there are {}", artifacts.len())));
    }
    let mut names = BTreeSet::new();
    for artifact in &artifacts {
        artifact.check().map_err(|Invalid(message)| wrong(message))?;
        if !names.insert(&artifact.name) {
            return Err(wrong(format!("{:?} is named twice", artifact.name)));
        }
    }
    Ok(artifacts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_values_of_one_name_neither_is_taken() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        assert!(labels(Raw(&raw(r#"{"team":"a","model":"a"}"#))).is_ok());
        assert!(labels(Raw(&raw(r#"{"team":"a","team":"a"}"#))).is_err());
        assert!(timings(Raw(&raw(r#"{"a":1,"a":1}"#))).is_err());
        assert!(job_error(Raw(&raw(r#"{"message":"a","message":"b"}"#))).is_err());
        assert!(artifacts(Raw(&raw(r#"[{"name":"a","name":"b"}]"#))).is_err());
    }

    #[test]
    fn whole_numbers_may_be_written_as_floats() {
        let read =
            |json: &str| integer::<i64>(Raw(&RawValue::from_string(json.to_owned()).unwrap()), -5..=10);
        for (written, value) in [("5", 5), ("5.0", 5), ("5.000", 5), ("-5.0", -5), ("-0.0", 0), ("10.0", 10)]
        {
            assert_eq!(read(written), Ok(value), "{written}");
        }
        for wrong in ["5.5", "5.01", "11.0", "\"5.0\"", "5e0", "1e400", "null", "[5.0]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_error_is_kept_whatever_its_texts_are() {
        let read = |json: &str| job_error(Raw(&RawValue::from_string(json.to_owned()).unwrap()));
        let message = |json: &str| read(json).unwrap().message;
        assert_eq!(message(r#""bad luck""#), "bad luck");
        assert_eq!(message(&format!("\"{}\"", "x".repeat(500))), "x".repeat(500));
        assert_eq!(message(&format!("\"{}\"", "x".repeat(501))), format!("{}…", "x".repeat(499)));
        for nothing in [r#""""#, "{}", r#"{"message":null}"#, r#"{"message":""}"#] {
            assert_eq!(message(nothing), "an error without a message", "{nothing}");
        }
        let error =
            read(&format!(r#"{{"message":"m","failed_task":"{}","code":"a"}}"#, "y".repeat(501))).unwrap();
        assert_eq!(error.failed_task, Some(format!("{}…", "y".repeat(499))));
        assert_eq!(error.code.unwrap().as_str(), "a");
        let error = read(r#"{"message":"m","failed_task":"","code":"no word"}"#).unwrap();
        assert_eq!((error.message.as_str(), error.failed_task, error.code), ("no word: m", None, None));
        for wrong in ["1", "null", "[]", r#"{"message":1}"#, r#"{"msg":"m"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_string_of_characters_is_told_apart() {
        let message = |json: &str| {
            let raw = RawValue::from_string(json.to_owned()).unwrap();
            text::<crate::domain::JobName>(Raw(&raw)).unwrap_err().0
        };
        assert!(message(r#""\ud83d""#).contains("surrogate"));
        assert!(!message("1").contains("surrogate"));
    }

    #[test]
    fn depth_counts_what_is_no_text() {
        for (json, expect) in [("1", 0), ("[]", 1), (r#"{"a":[{}],"b":[]}"#, 3), (r#"["[[[\"[["]"#, 1)] {
            assert_eq!(depth(json), expect, "{json}");
        }
    }
}
