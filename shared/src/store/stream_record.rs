//! The content of a stream of DynamoDB: records of writes, in batches of one shard.

use std::cmp::Ordering;
use std::fmt;

use super::schema::HEAD;
use super::{AttributeMap, Corrupt, head_of_row};
use crate::domain::{Head, Invalid, Timestamp};

/// Some records of one shard, in order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard; only events of a tumbling window name it.
    pub shard_id: Option<String>,
    /// The records; those that could not be read are errors.
    pub records: Vec<Result<StreamRecord, Unreadable>>,
}

/// One write to an item.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    /// Its place in the shard.
    pub sequence: SequenceNumber,
    /// When it was written, to the second; `None`: the stream does not say.
    pub written_at: Option<Timestamp>,
    /// Which item was written.
    pub target: Target,
    /// The item before; empty: there was none.
    pub old: AttributeMap,
    /// The item after; empty: there is none.
    pub new: AttributeMap,
}

impl StreamRecord {
    /// Whether a job's head was written.
    pub fn is_of_head(&self) -> bool {
        self.target == Target::Part(HEAD.to_owned())
    }

    /// The head before the write, and the one after it, if any.
    pub fn heads(self) -> Result<(Head, Option<Head>), Corrupt> {
        let old = head_of_row(self.old)?;
        let new = if self.new.is_empty() { None } else { Some(head_of_row(self.new)?) };
        Ok((old, new))
    }
}

/// The kind of an item, by the names of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A part of a job, and which.
    Part(String),
    /// One of the records that jobs produced.
    Record,
}

/// A record that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {}: {problem}", sequence.as_ref().map_or("without a number", SequenceNumber::as_str))]
pub struct Unreadable {
    /// Its place in the shard, if that much can be told.
    pub sequence: Option<SequenceNumber>,
    /// The error in it.
    pub problem: String,
}

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
