//! A job as callers see it, and what else several routes show.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{
    CreatedRange, ExternalId, Input, Job, JobId, JobName, Json, Labels, MicroDollars, Output, Owner, Percent,
    Phase, State, Status, TaskName, Timestamp, TraceId, TypeName,
};

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
}

#[derive(Debug, Serialize)]
struct ErrorView<'a> {
    message: &'a str,
    failed_task: Option<&'a str>,
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

impl From<&Job> for ProgressView {
    fn from(job: &Job) -> Self {
        let progress = job.shown_progress();
        Self {
            current_task: progress.current_task,
            current_task_progress: progress.current_task_progress,
            overall_progress: progress.overall_progress,
            eta_seconds: None,
        }
    }
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        let ended = job.state.ended();
        let (mut phase, mut available_at, mut error) = (None, None, None);
        match &job.state {
            State::Queued { available_at: due } => available_at = Some(*due),
            State::Running { phase: finer, .. } => phase = finer.as_ref(),
            State::Failed(_, failed) => {
                error = Some(ErrorView {
                    message: &failed.message,
                    failed_task: failed.failed_task.as_deref(),
                    retry_count: job.attempt.saturating_sub(1),
                });
            }
            State::Completed(_) | State::Cancelled(_) => {}
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
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            created_at: job.created_at,
            updated_at: job.updated_at,
            available_at,
            started_at: job.state.started_at(),
            completed_at: ended.map(|ended| ended.completed_at),
            expires_at: ended.and_then(|ended| ended.expires_at),
            duration_ms: job.duration_ms(),
            timeout_seconds: job.timeout_seconds,
            progress: ProgressView::from(job),
            labels: &job.labels,
            cost_usd: job.cost,
            trace_id: job.trace_id.as_ref(),
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
    attempts: [(); 0],
    artifacts: [(); 0],
}

impl<'a> WholeJobView<'a> {
    /// A job with what it was given and what it gave.
    pub fn new(job: &'a Job, input: &'a Input, output: &'a Output) -> Self {
        Self {
            job: JobView::from(job),
            payload: input.payload.as_ref(),
            metadata: input.metadata.as_ref(),
            result: output.result.as_ref(),
            timings: &output.timings,
            attempts: [],
            artifacts: [],
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
