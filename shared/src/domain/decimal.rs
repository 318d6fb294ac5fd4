//! Numbers with places that are made of whole numbers, never of floats.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Digits of the greatest number that [`nearest`] reads: they fit a `u64`.
const MAX_DIGITS: i64 = 18;

/// The greatest exponent that is told from a greater one: no text is as long.
const MAX_EXPONENT: i64 = 1 << 40;

/// The direction in which a rest of exactly half a unit is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// To the greater number.
    Up,
    /// To the even number.
    Even,
}

/// Reads a number as JSON writes it, rounded to so many places, in whole units of the last one. `None`: the text is no
/// such number, the result is below zero, or it has more than 18 digits.
pub(super) fn nearest(text: &str, places: u32, half: Half) -> Option<u64> {
    match text.strip_prefix('-') {
        Some(number) => unsigned(number, places, half).filter(|units| *units == 0),
        None => unsigned(text, places, half),
    }
}

fn unsigned(number: &str, places: u32, half: Half) -> Option<u64> {
    let (number, exponent) = match number.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent_of(exponent)?),
        None => (number, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // How many of the significant digits lie before the cut.
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let before = i64::try_from(whole.len()).ok()? - zeros + exponent + i64::from(places);
    if before > MAX_DIGITS {
        return None;
    }
    let Ok(before) = usize::try_from(before) else { return Some(0) };
    let kept = significant.bytes().chain(std::iter::repeat(b'0')).take(before);
    let floor = kept.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    let rest = significant.get(before..).unwrap_or("").trim_end_matches('0');
    let is_up = match rest.cmp("5") {
        Ordering::Less => false,
        Ordering::Equal => half == Half::Up || !floor.is_multiple_of(2),
        Ordering::Greater => true,
    };
    Some(floor + u64::from(is_up))
}

/// An exponent; one that is beyond all that matters is cut.
fn exponent_of(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = digits.parse().unwrap_or(MAX_EXPONENT).min(MAX_EXPONENT);
    Some(if is_negative { -exponent } else { exponent })
}

/// A number with so many places, kept in units of the last one; written as a JSON number with all of them: `33.30`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal<const PLACES: u32>(u64);

/// Seconds, to the millisecond.
pub type Seconds = Decimal<3>;

/// A share of the whole in percent, to the hundredth.
pub type Rate = Decimal<2>;

impl Seconds {
    /// Of whole milliseconds.
    pub const fn of_millis(millis: u64) -> Self {
        Self(millis)
    }
}

impl Rate {
    /// How much a part is of a whole, rounded half up; `None`: there is no whole.
    pub fn of_part(part: u64, whole: u64) -> Option<Self> {
        // Twice the hundredths of a percent and one, halved: that is the nearest.
        let twice = u128::from(part) * 20_000 + u128::from(whole);
        let hundredths = twice.checked_div(u128::from(whole) * 2)?;
        Some(Self(u64::try_from(hundredths).unwrap_or(u64::MAX)))
    }
}

impl<const PLACES: u32> Serialize for Decimal<PLACES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unit = 10_u64.pow(PLACES);
        let width = usize::try_from(PLACES).unwrap_or_default();
        let text = format!("{}.{:0width$}", self.0 / unit, self.0 % unit);
        RawValue::from_string(text).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_three_places() {
        for (millis, expect) in
            [(0, "0.000"), (7, "0.007"), (1_250, "1.250"), (u64::MAX, "18446744073709551.615")]
        {
            assert_eq!(serde_json::to_string(&Seconds::of_millis(millis)).unwrap(), expect);
        }
    }

    #[test]
    fn a_rate_is_rounded_half_up_to_hundredths() {
        for (part, whole, expect) in [
            (0, 0, "null"),
            (0, 3, "0.00"),
            (1, 3, "33.33"),
            (2, 3, "66.67"),
            (3, 3, "100.00"),
            (1, 8, "12.50"),
            (1, 20_000, "0.01"),
            (1, 20_001, "0.00"),
            (u64::MAX, u64::MAX, "100.00"),
        ] {
            assert_eq!(serde_json::to_string(&Rate::of_part(part, whole)).unwrap(), expect, "{part}/{whole}");
        }
    }
}
