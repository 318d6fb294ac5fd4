//! How far a shard of the stream has been counted.

use std::cmp::Ordering;
use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{Invalid, Timestamp};
use crate::store::{AttributeMap, Corrupt};

/// A record's place in its shard: a decimal number of up to 40 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceNumber(String);

impl SequenceNumber {
    /// The digits, as the stream writes them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl TryFrom<&str> for SequenceNumber {
    type Error = Invalid;

    fn try_from(text: &str) -> Result<Self, Invalid> {
        let digits = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_digit());
        if digits { Ok(Self(text.to_owned())) } else { Err(Invalid::new("must be a decimal number")) }
    }
}

impl Ord for SequenceNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.digits(), other.digits());
        // Numbers of more digits are greater; of as many, digits compare as text does.
        a.len().cmp(&b.len()).then_with(|| a.cmp(b)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for SequenceNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose stream a shard belongs to: each is counted by itself, and may stand still by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// That of the jobs.
    Jobs,
    /// That of the records.
    Records,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jobs, Self::Records];

    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Records => "records",
        }
    }
}

/// How far a shard has been counted, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose shard it is; `None`: nothing that was read of it said so.
    pub stream: Option<Stream>,
    /// The last record that was counted.
    pub sequence: SequenceNumber,
    /// When that record was written, to the second, as far as the stream says.
    pub written_at: Timestamp,
    /// When it was counted.
    pub counted_at: Timestamp,
}

/// The name of a shard's checkpoint among the buckets of all owners.
pub(super) fn checkpoint_bucket(shard_id: &str) -> String {
    format!("{PREFIX}{shard_id}")
}

/// Whose stream its shard is.
pub(super) const STREAM: &str = "stream";
/// Begins the name of every checkpoint.
pub(super) const PREFIX: &str = "checkpoint#";

impl Checkpoint {
    pub(super) fn of_item(item: &AttributeMap) -> Result<Self, Corrupt> {
        let corrupt = |name: &str| Corrupt::new("checkpoint", format!("needs {name}"));
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let time = |name: &str| number(name).map(Timestamp::from_millis).ok_or_else(|| corrupt(name));
        let sequence = item.get("sequence").and_then(|value: &AttributeValue| value.as_s().ok());
        let sequence = sequence.and_then(|text| SequenceNumber::try_from(text.as_str()).ok());
        let stream = item.get(STREAM).and_then(|value| value.as_s().ok());
        Ok(Self {
            stream: stream.and_then(|word| Stream::ALL.into_iter().find(|stream| stream.as_str() == word)),
            sequence: sequence.ok_or_else(|| corrupt("sequence"))?,
            written_at: time("written_at")?,
            counted_at: time("counted_at")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sequence_numbers_compare_as_numbers() {
        let number = |text| SequenceNumber::try_from(text).unwrap();
        assert!(number("9") < number("10"));
        assert!(
            number("49590338271490256608559692538361571095921575989136588898")
                > number("9999999999999999999")
        );
        assert!(number("00000000000000000009") < number("10"));
        assert!(number("000000000000000000010") > number("9"));
        for bad in ["", "1a", "-1", &"1".repeat(65)] {
            assert!(SequenceNumber::try_from(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_numbers(a: u128, b: u128, shift in 0_u32..128, zeros in 0_usize..10) {
            let (a, b) = (a >> shift, b >> (127 - shift));
            let number = |value: u128| SequenceNumber::try_from(format!("{}{value}", "0".repeat(zeros)).as_str()).unwrap();
            prop_assert_eq!(number(a).cmp(&number(b)), a.cmp(&b));
            let plain = SequenceNumber::try_from(b.to_string().as_str()).unwrap();
            if a != b {
                prop_assert_eq!(number(a).cmp(&plain), a.cmp(&b));
            }
            prop_assert_eq!(number(a) == plain, number(a).cmp(&plain).is_eq());
        }
    }
}
