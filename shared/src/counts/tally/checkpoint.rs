//! How far a shard of the stream has been counted.

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::Timestamp;
use crate::store::{AttributeMap, Corrupt, SequenceNumber};

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
pub(crate) const PREFIX: &str = "checkpoint#";

impl Checkpoint {
    pub(crate) fn of_item(item: &AttributeMap) -> Result<Self, Corrupt> {
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
