//! Money: whole millionths of a US dollar, never a float.

use std::fmt;

use serde::{Serialize, Serializer};

use super::Invalid;
use super::decimal::{Half, nearest};

/// Places that are kept.
const PLACES: u32 = 6;
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

    /// Of a JSON number as it was written, such as `0.0125`, `5e-05` or `0.30000000000000004`. It is rounded at the sixth
    /// place, half to even.
    fn try_from(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new("must be a number of US dollars from 0 to 100000000, such as \"0.012500\" or 5e-05")
        };
        Self::try_from(nearest(text, PLACES, Half::Even).ok_or_else(wrong)?)
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
    fn amounts_are_rounded_to_six_places() {
        check("0", Some("0.000000"));
        check("12.5", Some("12.500000"));
        check("0.000001", Some("0.000001"));
        check("100000000", Some("100000000.000000"));
        // As Python and JavaScript write their floats.
        check("5e-05", Some("0.000050"));
        check("0.30000000000000004", Some("0.300000"));
        check("1.2345E+2", Some("123.450000"));
        check("1e-400", Some("0.000000"));
        check("1e-99999999999999999999", Some("0.000000"));
        check("0e99999999999999999999", Some("0.000000"));
        check("-0.0", Some("0.000000"));
        // Half to even, by all of the digits.
        check("0.0000005", Some("0.000000"));
        check("0.0000015", Some("0.000002"));
        check("0.0000025", Some("0.000002"));
        check("0.00000250000000000000000000000000001", Some("0.000003"));
        check("0.0000024999999999999999999999999999", Some("0.000002"));
        check("100000000.0000004", Some("100000000.000000"));
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "-1e-6",
            "+1",
            " 1",
            "1e",
            "1e400",
            "NaN",
            "Infinity",
            "0x1",
            "1,5",
            "100000000.000001",
        ] {
            check(bad, None);
        }
    }
}
