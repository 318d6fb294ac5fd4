//! One attempt of a job, as its handler sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::TaskError;
use crate::progress::Progress;

/// One attempt of a job: its work, and the means to report progress. Clones belong to the same attempt.
#[derive(Clone)]
pub struct Task {
    pub(crate) job: Arc<Job>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) cancelled: CancellationToken,
}

/// A job as a claim returns it. None of its times is read, because they are by the service's clock.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    #[serde(rename = "job_id")]
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) lease_token: String,
    #[serde(default = "first")]
    pub(crate) attempt: u32,
    #[serde(default = "first")]
    max_attempts: u32,
    pub(crate) timeout_seconds: Option<u64>,
    name: Option<String>,
    external_id: Option<String>,
    payload: Option<Box<RawValue>>,
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    trace_id: Option<String>,
}

const fn first() -> u32 {
    1
}

impl Job {
    /// The trace of the job, with this attempt as its span. Its id follows from the lease, which no other attempt has.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let is_trace = |id: &&String| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let trace_id = self.trace_id.as_ref().filter(is_trace)?;
        let mut hasher = DefaultHasher::new();
        self.lease_token.hash(&mut hasher);
        // A span of zeros is none.
        Some(format!("00-{trace_id}-{:016x}-01", hasher.finish().max(1)))
    }
}

impl Task {
    pub(crate) fn new(job: Job) -> Self {
        Self { job: Arc::new(job), progress: Arc::default(), cancelled: CancellationToken::new() }
    }

    /// The job's id: the same in each attempt.
    pub fn id(&self) -> &str {
        &self.job.id
    }

    /// The job's type, which is this handler's.
    pub fn kind(&self) -> &str {
        &self.job.kind
    }

    /// The payload, as the creator of the job wrote it. If it does not fit the type, the job fails for good, with the
    /// code `bad_payload`, because it would not fit at the next attempt, either. A missing payload is read as `null`.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, TaskError> {
        let text = self.job.payload.as_ref().map_or("null", |payload| payload.get());
        serde_json::from_str(text).map_err(|error| {
            TaskError::permanent(format!("the payload is not what this type of job takes: {error}"))
                .code("bad_payload")
        })
    }

    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.job.attempt
    }

    /// How many attempts the job has in all.
    pub fn max_attempts(&self) -> u32 {
        self.job.max_attempts
    }

    /// The job's name for people.
    pub fn name(&self) -> Option<&str> {
        self.job.name.as_deref()
    }

    /// The caller's own id for the job.
    pub fn external_id(&self) -> Option<&str> {
        self.job.external_id.as_deref()
    }

    /// The data that the caller keeps beside the payload; `null` if there is none.
    pub fn metadata(&self) -> &Value {
        &self.job.metadata
    }

    /// The job's labels: `team`, `model` and others.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.job.labels
    }

    /// The trace that the job belongs to: 32 hexadecimal digits, from the `traceparent` of the call that created it.
    pub fn trace_id(&self) -> Option<&str> {
        self.job.trace_id.as_deref()
    }

    /// The same as a W3C `traceparent`, to send with requests of this attempt. The worker's own reports carry it, too.
    pub fn traceparent(&self) -> Option<String> {
        self.job.traceparent()
    }

    /// Sets the job's progress, in percent: 0 to 100, to two places. Frequent calls are cheap: the worker reports the
    /// last one, about once a second. Progress never falls within an attempt; a smaller value is ignored.
    pub fn progress(&self, percent: impl Into<f64>) {
        self.progress.overall(percent.into());
    }

    /// Sets the running stage and its progress, in percent. If the type has weights for its stages, the service
    /// computes the job's progress from it.
    pub fn stage(&self, name: impl AsRef<str>, percent: impl Into<f64>) {
        self.progress.stage(name.as_ref(), percent.into());
    }

    /// Fires when this attempt shall end: the job was cancelled or deleted, the lease was lost, the attempt took too
    /// long, or the worker stops. The handler then has a short time to clean up. After that its future is dropped.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancelled.clone()
    }
}

/// Without payload and lease token.
impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("id", &self.job.id)
            .field("kind", &self.job.kind)
            .field("attempt", &self.job.attempt)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(payload: &Value) -> Task {
        let job = json!({ "job_id": "j", "type": "t", "lease_token": "l", "payload": payload, "attempt": 2 });
        Task::new(serde_json::from_str(&job.to_string()).unwrap())
    }

    #[test]
    fn a_payload_is_read_or_fails_the_job_for_good() {
        assert_eq!(task(&json!([1, 2])).payload::<Vec<u8>>().unwrap(), [1, 2]);
        assert_eq!(task(&json!(null)).payload::<Option<u8>>().unwrap(), None);
        let error = task(&json!("x")).payload::<u8>().unwrap_err();
        assert!(!error.is_retryable());
        assert_eq!(error.code.as_deref(), Some("bad_payload"));
    }

    #[test]
    fn nobody_reads_a_token_or_a_payload_in_a_log() {
        let shown = format!("{:?}", task(&json!("secret")));
        assert_eq!(shown, r#"Task { id: "j", kind: "t", attempt: 2, .. }"#);
    }
}
