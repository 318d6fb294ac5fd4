//! Numbers with places that are made of whole numbers, never of floats.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

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
