//! The service's work API, request by request.

use std::time::Duration;

use bytes::Bytes;
use jobledger_client::{Answer, StatusCode, Unanswered};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::BuildError;
use crate::http::{Body, Http};
use crate::task::Job;

/// How long any request may take, beside what it asks the service to wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer to a claim: ten jobs, of 256 KiB of payload and metadata each, with all else that they have.
const MAX_CLAIM_ANSWER: usize = 8 << 20;
/// Largest answer to a report, or problem.
const MAX_ANSWER: usize = 1 << 20;
/// Longest text of a problem that is kept.
const MAX_DETAIL: usize = 500;

/// The request of a claim.
#[derive(Debug, Serialize)]
pub(crate) struct ClaimRequest<'a> {
    pub(crate) worker_id: &'a str,
    pub(crate) types: &'a [String],
    pub(crate) max: usize,
    pub(crate) lease_seconds: u64,
    pub(crate) wait_seconds: u64,
    /// Promises a report on each job before its handler starts.
    pub(crate) acknowledge: bool,
}

#[derive(Deserialize)]
struct ClaimAnswer {
    jobs: Vec<Box<RawValue>>,
}

/// The answer to a report.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Reported {
    /// The job was cancelled.
    #[serde(default)]
    pub(crate) cancel: bool,
}

/// A request that was refused, and would be refused again (RFC 9457).
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Problem {
    #[serde(skip)]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) detail: String,
    #[serde(default)]
    pub(crate) job_status: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.status)?;
        [&self.code, &self.detail]
            .iter()
            .filter(|text| !text.is_empty())
            .try_for_each(|text| write!(f, " {text}"))
    }
}

/// The reason why a request failed. The variant decides what the worker does.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service is away: it did not answer in time, or with 5xx. A retry may succeed.
    Away(String, Option<Duration>),
    /// The service throttles: 429.
    Limited(Option<Duration>),
    /// 401 or 403: this key is refused.
    Denied(Problem),
    /// Any other answer but 2xx.
    Refused(Problem),
}

/// A client of one service, by one key.
#[derive(Debug)]
pub(crate) struct Client {
    http: Http,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self, BuildError> {
        Ok(Self { http: Http::new(url, key)? })
    }

    /// Claims jobs. A job that cannot be read is left to its lease, because the worker cannot report on it.
    pub(crate) async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Vec<Job>, Failure> {
        let body = Body::of(request);
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(request.wait_seconds);
        let answer = self.http.send("POST", "/v1/jobs/claim", None, &body, timeout, MAX_CLAIM_ANSWER).await;
        let answer: ClaimAnswer = serde_json::from_slice(&taken(answer)?)
            .map_err(|error| Failure::Away(format!("the answer to a claim cannot be read: {error}"), None))?;
        let jobs = answer.jobs.iter().filter_map(|job| match serde_json::from_str::<Job>(job.get()) {
            Ok(job) if is_id(&job.id) => Some(job),
            Ok(_) => {
                tracing::error!("a claimed job has no usable id, and is left to its lease");
                None
            }
            Err(error) => {
                tracing::error!(%error, "a claimed job cannot be read, and is left to its lease");
                None
            }
        });
        Ok(jobs.collect())
    }

    /// Reports on a job. If the answer cannot be read, the report was accepted all the same.
    pub(crate) async fn report(&self, job: &Job, body: &Body) -> Result<Reported, Failure> {
        let (path, traceparent) = (format!("/v1/jobs/{}", job.id), job.traceparent());
        let traceparent = traceparent.as_deref();
        let answer = self.http.send("PATCH", &path, traceparent, body, REQUEST_TIMEOUT, MAX_ANSWER).await;
        Ok(serde_json::from_slice(&taken(answer)?).unwrap_or_default())
    }
}

/// Whether the text may stand in a path as it is.
fn is_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Sorts an answer by what is to be done about it.
fn taken(answer: Result<Answer, Unanswered>) -> Result<Bytes, Failure> {
    let answer = answer.map_err(|error| Failure::Away(error.to_string(), None))?;
    let status = answer.status;
    if status.is_success() {
        return answer.body.map_err(|error| Failure::Away(error, None));
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(Failure::Limited(answer.retry_after));
    }
    if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        return Err(Failure::Away(format!("the service answered {status}"), answer.retry_after));
    }
    let problem: Problem =
        answer.body.ok().and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default();
    let detail = problem.detail.chars().take(MAX_DETAIL).collect();
    let problem = Problem { status: status.as_u16(), detail, ..problem };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Denied(problem)),
        _ => Err(Failure::Refused(problem)),
    }
}
