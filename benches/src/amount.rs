//! Amounts with up to three places, without floats: units, milliseconds, ratios.

use std::fmt;

use serde::{Serialize, Serializer, ser};

/// Thousandths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

impl Amount {
    /// This many thousandths: of a millisecond, that is microseconds.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths)
    }

    /// Capacity units, as an engine reports them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::float_arithmetic,
        reason = "reported units are whole halves, and few"
    )]
    pub fn from_units(units: f64) -> Self {
        Self((units * 1_000.0).round() as u64)
    }

    /// The number of thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// How many times `smaller` this is; none if `smaller` is 0.
    pub fn over(self, smaller: Self) -> Option<Self> {
        let times = (u128::from(self.0) * 1_000).checked_div(u128::from(smaller.0))?;
        Some(Self(u64::try_from(times).unwrap_or(u64::MAX)))
    }

    /// The sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Amount {
    /// With as many places as the format asks for, rounded half up. If it asks for none, trailing zeros are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = f.precision().map_or(3, |places| places.min(3));
        let step = 10_u64.pow(3 - u32::try_from(places).unwrap_or(3));
        let rounded = self.0.saturating_add(step / 2) / step;
        let (whole, rest) = (rounded * step / 1_000, rounded * step % 1_000);
        let digits = format!("{rest:03}");
        let digits = match f.precision() {
            Some(_) => &digits[..places],
            None => digits.trim_end_matches('0'),
        };
        if digits.is_empty() { write!(f, "{whole}") } else { write!(f, "{whole}.{digits}") }
    }
}

impl Serialize for Amount {
    /// A JSON number.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_string().parse().map_err(ser::Error::custom)?)
    }
}

/// A whole number with a comma after each three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_places_that_are_asked_for() {
        for (thousandths, plain, one) in
            [(4_500, "4.5", "4.5"), (0, "0", "0.0"), (12_345, "12.345", "12.3"), (960, "0.96", "1.0")]
        {
            let amount = Amount::from_thousandths(thousandths);
            assert_eq!((amount.to_string(), format!("{amount:.1}")), (plain.to_owned(), one.to_owned()));
            assert_eq!(serde_json::to_value(amount).unwrap().to_string().parse::<f64>(), plain.parse());
        }
        assert_eq!(Amount::from_units(4.5), Amount::from_thousandths(4_500));
    }

    #[test]
    fn a_ratio_over_nothing_is_none() {
        let of = Amount::from_thousandths;
        assert_eq!(of(4_500).over(of(3_000)), Some(of(1_500)));
        assert_eq!(of(4_500).over(of(0)), None);
    }

    #[test]
    fn numbers_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
