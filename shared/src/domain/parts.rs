//! The input and the output of a job: written once, beside its head, and read only with the whole job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Invalid;

/// Most bytes of JSON in a job's input, and in its output: 256 KiB.
pub const MAX_PART_BYTES: usize = 256 * 1024;

/// Any JSON, kept as it was written: no number loses a digit.
pub type Json = Box<RawValue>;

/// The input of a job: written once, at creation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Input {
    /// The data that the job shall work on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Json>,
    /// The data that the caller wants to keep with it: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

/// The output of a job: written at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Output {
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Json>,
    /// The artifacts that it made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Seconds by stage, as the worker wrote them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub timings: BTreeMap<String, serde_json::Number>,
}

/// Something that a job made and that is kept elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Its name, unique within the job.
    pub name: String,
    /// How large it is.
    #[serde(default)]
    pub size_bytes: Option<u64>,
    /// Its content type, as in HTTP.
    #[serde(default)]
    pub content_type: Option<String>,
    /// All other data about it: an object.
    #[serde(default)]
    pub attributes: Option<Json>,
}

/// Most characters of an artifact's name, and of its content type.
const MAX_ARTIFACT_CHARS: usize = 200;

impl Artifact {
    /// Whether its texts are as long as they may be, and its attributes an object.
    pub fn check(&self) -> Result<(), Invalid> {
        let fits = |text: &str| !text.is_empty() && text.chars().count() <= MAX_ARTIFACT_CHARS;
        let is_object = |json: &Json| json.get().starts_with('{');
        if !fits(&self.name) || !self.content_type.as_deref().is_none_or(fits) {
            return Err(Invalid(format!("texts have 1 to {MAX_ARTIFACT_CHARS} characters")));
        }
        if !self.attributes.as_ref().is_none_or(is_object) {
            return Err(Invalid::new("attributes are an object"));
        }
        Ok(())
    }
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
        self.result.is_none() && self.timings.is_empty() && self.artifacts.is_empty()
    }

    /// The same with newer values: each one takes the place of an earlier one.
    #[must_use]
    pub fn with(self, newer: Self) -> Self {
        Self {
            result: newer.result.or(self.result),
            artifacts: if newer.artifacts.is_empty() { self.artifacts } else { newer.artifacts },
            timings: if newer.timings.is_empty() { self.timings } else { newer.timings },
        }
    }

    /// The JSON that is kept.
    pub fn to_json(&self) -> Result<Vec<u8>, PartError> {
        limited(self, "result, artifacts and timings")
    }
}

fn limited(part: &impl Serialize, what: &'static str) -> Result<Vec<u8>, PartError> {
    // Maps with text keys and valid raw JSON always serialise.
    let json = serde_json::to_vec(part).unwrap_or_default();
    if json.len() <= MAX_PART_BYTES { Ok(json) } else { Err(PartError::TooLarge(what)) }
}
