//! What a job takes and gives: written once, beside its head, and read only with the whole job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Most bytes of JSON in a job's input, and in its output: 256 KiB.
pub const MAX_PART_BYTES: usize = 256 * 1024;

/// Any JSON, kept as it was written: no number loses a digit.
pub type Json = Box<RawValue>;

/// What a job is given: written once, at creation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Input {
    /// What the job shall work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// What the caller wants to keep with it: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

/// What a job gave: written at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Output {
    /// What came out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// Seconds by stage, as the worker wrote them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, serde_json::Number>,
}

/// Why a part cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartError {
    /// Over [`MAX_PART_BYTES`].
    #[error("{0} must be at most 262144 bytes of JSON together")]
    TooLarge(&'static str),
}

impl Input {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.payload.is_none() && self.metadata.is_none()
    }

    /// The JSON that is kept.
    pub fn to_json(&self) -> Result<Vec<u8>, PartError> {
        limited(self, "payload and metadata")
    }
}

impl Output {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.result.is_none() && self.timings.is_empty()
    }

    /// The JSON that is kept.
    pub fn to_json(&self) -> Result<Vec<u8>, PartError> {
        limited(self, "result and timings")
    }
}

fn limited(part: &impl Serialize, what: &'static str) -> Result<Vec<u8>, PartError> {
    // Maps with text keys and valid raw JSON always serialise.
    let json = serde_json::to_vec(part).unwrap_or_default();
    if json.len() <= MAX_PART_BYTES { Ok(json) } else { Err(PartError::TooLarge(what)) }
}
