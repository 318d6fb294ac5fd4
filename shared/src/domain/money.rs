//! Money: whole millionths of a US dollar, never a float.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Invalid;

const MICROS_PER_DOLLAR: u64 = 1_000_000;

/// Dearest job: a hundred million dollars; sums of a billion jobs then still fit DynamoDB's 38 digits.
const MAX: u64 = 100_000_000 * MICROS_PER_DOLLAR;

/// An amount of US dollars in whole millionths; written as a decimal with six places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct MicroDollars(u64);

impl MicroDollars {
    /// A sum of amounts, which may be more than any of them.
    pub const fn of_sum(micros: u64) -> Self {
        Self(micros)
    }

    /// The amount in millionths.
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for MicroDollars {
    type Error = Invalid;

    fn try_from(micros: u64) -> Result<Self, Invalid> {
        if micros <= MAX { Ok(Self(micros)) } else { Err(Invalid::new("must be at most 100000000")) }
    }
}

impl TryFrom<&str> for MicroDollars {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new("must be a decimal of US dollars with at most 6 places, such as \"0.012500\"");
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let (whole, places) = match text.split_once('.') {
            Some((whole, places)) if digits(places) && places.len() <= 6 => (whole, places),
            Some(_) => return Err(wrong()),
            None => (text, "0"),
        };
        if !digits(whole) || whole.len() > 12 {
            return Err(wrong());
        }
        let dollars: u64 = whole.parse().map_err(|_| wrong())?;
        let micros: u64 = format!("{places:0<6}").parse().map_err(|_| wrong())?;
        Self::try_from(dollars * MICROS_PER_DOLLAR + micros)
    }
}

impl fmt::Display for MicroDollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / MICROS_PER_DOLLAR, self.0 % MICROS_PER_DOLLAR)
    }
}

impl Serialize for MicroDollars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let amount = MicroDollars::try_from(text).ok();
        assert_eq!(amount.map(|amount| amount.to_string()).as_deref(), expect, "{text}");
    }

    #[test]
    fn amounts_are_decimals_of_six_places() {
        check("0", Some("0.000000"));
        check("12.5", Some("12.500000"));
        check("0.000001", Some("0.000001"));
        check("100000000", Some("100000000.000000"));
        for bad in ["", ".", "1.", ".5", "-1", "1e3", "0.0000001", "100000000.000001", "9999999999999", "1,5"]
        {
            check(bad, None);
        }
    }
}
