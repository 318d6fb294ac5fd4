//! A job as callers see it, and what else several routes show.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::counts::TryEnd;
use crate::domain::{
    Artifact, CreatedRange, ErrorCode, ExternalId, Job, JobError, JobId, JobName, Json, Labels, MicroDollars,
    Owner, Percent, Phase, Rate, State, Status, TaskName, Timestamp, TraceId, Try, TypeName, WorkerId,
};
use crate::store::{Beside, WholeJob};

/// A job as lists show it: without payload, metadata and results.
#[derive(Debug, Serialize)]
pub struct JobView<'a> {
    job_id: JobId,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a ExternalId>,
    owner: &'a Owner,
    r#type: &'a TypeName,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a Phase>,
    priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a JobName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<TryErrorView<'a>>,
    attempt: u32,
    max_attempts: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_seconds: Option<u32>,
    progress: ProgressView,
    labels: &'a Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<MicroDollars>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a WorkerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct ErrorView<'a> {
    message: &'a str,
    failed_task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a ErrorCode>,
    retry_count: u32,
}

/// How far a job is.
#[derive(Debug, Serialize)]
struct ProgressView {
    current_task: Option<TaskName>,
    current_task_progress: Option<Percent>,
    overall_progress: Percent,
    eta_seconds: Option<u64>,
}

impl ProgressView {
    fn new(job: &Job, now: Timestamp, mean_run_ms: Option<u64>) -> Self {
        let progress = job.shown_progress();
        let left_ms = job.left_ms(now, mean_run_ms);
        Self {
            current_task: progress.current_task,
            current_task_progress: progress.current_task_progress,
            overall_progress: progress.overall_progress,
            eta_seconds: left_ms.map(|millis| millis.div_ceil(1_000)),
        }
    }
}

impl<'a> JobView<'a> {
    /// A job as of now.
    pub fn new(job: &'a Job, now: Timestamp) -> Self {
        Self::with_mean(job, now, None)
    }

    fn with_mean(job: &'a Job, now: Timestamp, mean_run_ms: Option<u64>) -> Self {
        let ended = job.state.ended();
        let (mut phase, mut error) = (None, None);
        match &job.state {
            State::Running { phase: finer, .. } => phase = finer.as_ref(),
            State::Failed(_, failed) => {
                error = Some(ErrorView {
                    message: &failed.message,
                    failed_task: failed.failed_task.as_deref(),
                    code: failed.code.as_ref(),
                    retry_count: job.attempt.saturating_sub(1),
                });
            }
            State::Queued { .. } | State::Completed(_) | State::Cancelled(_) => {}
        }
        Self {
            job_id: job.id,
            external_id: job.external_id.as_ref(),
            owner: &job.owner,
            r#type: &job.kind,
            status: job.status(),
            phase,
            priority: job.priority,
            name: job.name.as_ref(),
            error,
            last_error: job.last_error().map(TryErrorView::from),
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            created_at: job.created_at,
            updated_at: job.updated_at,
            available_at: job.state.available_at(),
            started_at: job.state.started_at(),
            completed_at: ended.map(|ended| ended.completed_at),
            expires_at: ended.and_then(|ended| ended.expires_at),
            duration_ms: job.duration_ms(),
            timeout_seconds: job.timeout_seconds,
            progress: ProgressView::new(job, now, mean_run_ms),
            labels: &job.labels,
            cost_usd: job.cost,
            trace_id: job.trace_id.as_ref(),
            worker_id: job.held_by(),
            lease_expires_at: job.held_by().and(job.lease()).map(|lease| lease.until),
        }
    }
}

/// Everything about a job.
#[derive(Debug, Serialize)]
pub struct WholeJobView<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    payload: Option<&'a Json>,
    metadata: Option<&'a Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Json>,
    timings: &'a BTreeMap<String, serde_json::Number>,
    attempts: Vec<TryView<'a>>,
    artifacts: Vec<ArtifactView<'a>>,
}

/// A try that ended.
#[derive(Debug, Serialize)]
struct TryView<'a> {
    number: u32,
    worker: Option<&'a WorkerId>,
    started_at: Timestamp,
    ended_at: Timestamp,
    /// One of [`TryEnd`]'s words.
    outcome: &'static str,
    error: Option<TryErrorView<'a>>,
}

#[derive(Debug, Serialize)]
struct TryErrorView<'a> {
    message: &'a str,
    failed_task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a ErrorCode>,
}

/// Something that the job made. Nothing is stored here, so nothing can be downloaded from here.
#[derive(Debug, Serialize)]
struct ArtifactView<'a> {
    name: &'a str,
    size_bytes: Option<u64>,
    content_type: Option<&'a str>,
    attributes: Option<&'a Json>,
    download_url: Option<&'a str>,
}

impl<'a> WholeJobView<'a> {
    /// A job as of now, with what it was given and what it gave. `last` is the try that the job itself tells to have
    /// ended ([`Job::ended_try`]).
    pub fn new(job: &'a Job, beside: &'a Beside, last: Option<&'a Try>, now: Timestamp) -> Self {
        let Beside { input, output, tries, mean_run_ms } = beside;
        let tries = tries.iter().chain(&job.last_try).chain(last);
        let completed = last.filter(|_| job.status() == Status::Completed).map(|tried| tried.number);
        let by_number: BTreeMap<u32, &Try> = tries.map(|tried| (tried.number, tried)).collect();
        Self {
            job: JobView::with_mean(job, now, *mean_run_ms),
            payload: input.payload.as_ref(),
            metadata: input.metadata.as_ref(),
            result: output.result.as_ref(),
            timings: &output.timings,
            attempts: by_number.into_values().map(|tried| TryView::new(tried, completed)).collect(),
            artifacts: output.artifacts.iter().map(ArtifactView::from).collect(),
        }
    }
}

impl WholeJob {
    /// As callers see it at that time.
    pub fn view(&self, now: Timestamp) -> WholeJobView<'_> {
        WholeJobView::new(&self.head.job, &self.beside, self.last.as_ref(), now)
    }
}

impl<'a> TryView<'a> {
    /// `completed` is the number of the attempt that completed the job.
    fn new(tried: &'a Try, completed: Option<u32>) -> Self {
        let Try { number, worker, started_at, ended_at, error } = tried;
        let outcome = match error {
            Some(error) => TryEnd::of_error(Some(error)),
            None if completed == Some(*number) => TryEnd::Completed,
            // Only a cancelled job is queued again without an error.
            None => TryEnd::Cancelled,
        };
        let error = error.as_ref().map(TryErrorView::from);
        let (worker, outcome) = (worker.as_ref(), outcome.as_str());
        Self { number: *number, worker, started_at: *started_at, ended_at: *ended_at, outcome, error }
    }
}

impl<'a> From<&'a JobError> for TryErrorView<'a> {
    fn from(error: &'a JobError) -> Self {
        let JobError { message, failed_task, code } = error;
        Self { message, failed_task: failed_task.as_deref(), code: code.as_ref() }
    }
}

impl<'a> From<&'a Artifact> for ArtifactView<'a> {
    fn from(artifact: &'a Artifact) -> Self {
        let Artifact { name, size_bytes, content_type, attributes } = artifact;
        let content_type = content_type.as_deref();
        Self {
            name,
            size_bytes: *size_bytes,
            content_type,
            attributes: attributes.as_ref(),
            download_url: None,
        }
    }
}

/// The times that numbers are of, both ends included; null at an end that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DateRange {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl From<CreatedRange> for DateRange {
    fn from(range: CreatedRange) -> Self {
        let from = (range.from() > Timestamp::MIN).then_some(range.from());
        let to = (range.to() < Timestamp::MAX).then_some(range.to());
        Self { from, to }
    }
}

/// The storage of all of an owner's jobs, in bytes of their inputs and outputs.
#[derive(Debug, Serialize)]
pub struct StorageView {
    used_bytes: u64,
    /// Null: the key has no quota.
    quota_bytes: Option<u64>,
    /// Of the quota.
    percent: Option<Rate>,
}

impl StorageView {
    /// So much of so much.
    pub fn new(used_bytes: u64, quota_bytes: Option<u64>) -> Self {
        let percent = quota_bytes.and_then(|quota| Rate::of_part(used_bytes, quota));
        Self { used_bytes, quota_bytes, percent }
    }
}
