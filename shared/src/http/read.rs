//! How single values of a JSON body are read.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::value::RawValue;

use crate::domain::{Invalid, Json, Labels, MicroDollars, Timestamp, bounded};

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

/// A time.
pub fn timestamp(raw: Raw<'_>) -> Result<Timestamp, Invalid> {
    Timestamp::parse(&raw.string()?)
}

/// Any JSON, kept as it was written.
pub fn json(raw: Raw<'_>) -> Result<Json, Invalid> {
    Ok(raw.0.to_owned())
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
