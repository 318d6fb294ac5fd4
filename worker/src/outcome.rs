//! The outcome of an attempt that succeeded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::TaskError;

/// The result of a job, and the data kept with it. Result, artifacts and timings together may be 256 KiB of JSON.
///
/// ```
/// use std::time::Duration;
/// use jobledger_worker::{Artifact, Outcome};
/// use serde_json::json;
///
/// let outcome = Outcome::new(json!({ "frames": 2_400 }))
///     .artifact(Artifact::new("clip.webm", 81_234).content_type("video/webm"))
///     .timing("decode", Duration::from_millis(1_250))
///     .cost_micro_usd(12_500);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outcome {
    result: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    artifacts: Vec<Artifact>,
    /// Seconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    timings: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<String>,
}

impl Outcome {
    /// An outcome with this result.
    pub fn new(result: Value) -> Self {
        Self { result, ..Self::default() }
    }

    /// An outcome whose result is anything that can be written as JSON. If the value cannot be written, the job fails
    /// for good.
    pub fn of(result: &impl Serialize) -> Result<Self, TaskError> {
        let unwritable = |error| {
            TaskError::permanent(format!("the result cannot be written as JSON: {error}")).code("bad_result")
        };
        serde_json::to_value(result).map(Self::new).map_err(unwritable)
    }

    /// Names a file that the job made.
    #[must_use]
    pub fn artifact(mut self, artifact: Artifact) -> Self {
        self.artifacts.push(artifact);
        self
    }

    /// Sets the time that a stage took.
    #[must_use]
    pub fn timing(mut self, stage: impl Into<String>, took: Duration) -> Self {
        self.timings.insert(stage.into(), Duration::from_millis(millis(took)).as_secs_f64());
        self
    }

    /// The cost of the attempt, in millionths of a US dollar.
    #[must_use]
    pub fn cost_micro_usd(mut self, cost: u64) -> Self {
        self.cost_usd = Some(format!("{}.{:06}", cost / 1_000_000, cost % 1_000_000));
        self
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<Value> for Outcome {
    fn from(result: Value) -> Self {
        Self::new(result)
    }
}

/// A job that leaves no result.
impl From<()> for Outcome {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// A file that a job made, by its name. Storing it is the handler's own work.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Artifact {
    name: String,
    size_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Value>,
}

impl Artifact {
    /// A file with this name and size.
    pub fn new(name: impl Into<String>, size_bytes: u64) -> Self {
        Self { name: name.into(), size_bytes, content_type: None, attributes: BTreeMap::new() }
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Any other attribute of the file.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.attributes.insert(name.into(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_written_as_the_contract_says() {
        let outcome = Outcome::new(json!([1]))
            .artifact(Artifact::new("a.txt", 3).content_type("text/plain").attribute("lines", 1))
            .timing("read", Duration::from_micros(1_500_499))
            .cost_micro_usd(1_000_050);
        let expected = json!({
            "result": [1], "timings": { "read": 1.5 }, "cost_usd": "1.000050",
            "artifacts": [{ "name": "a.txt", "size_bytes": 3, "content_type": "text/plain", "attributes": { "lines": 1 } }],
        });
        assert_eq!(serde_json::to_value(outcome).unwrap(), expected);
        assert_eq!(serde_json::to_value(Outcome::from(())).unwrap(), json!({ "result": null }));
    }
}
