//! Reports, as `PATCH /v1/jobs/{job_id}` takes them. Each names the lease that it is made under.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::task::Task;
use crate::{Outcome, TaskError};

/// One report.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    lease_token: &'a str,
    #[serde(flatten)]
    what: What<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What<'a> {
    Held {
        lease_seconds: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<&'a Value>,
    },
    Completed {
        status: &'static str,
        #[serde(flatten)]
        outcome: &'a Outcome,
    },
    Failed {
        status: &'static str,
        error: &'a TaskError,
        retryable: bool,
    },
    Back {
        status: &'static str,
    },
}

fn report<'a>(task: &'a Task, what: What<'a>) -> Report<'a> {
    Report { lease_token: &task.job.lease_token, what }
}

/// The job goes on: the report renews the lease, and has the new progress, if any.
pub(crate) fn held<'a>(task: &'a Task, lease: Duration, progress: Option<&'a Value>) -> Report<'a> {
    report(task, What::Held { lease_seconds: lease.as_secs(), progress })
}

/// The job is completed.
pub(crate) fn completed<'a>(task: &'a Task, outcome: &'a Outcome) -> Report<'a> {
    report(task, What::Completed { status: "completed", outcome })
}

/// This try failed.
pub(crate) fn failed<'a>(task: &'a Task, error: &'a TaskError) -> Report<'a> {
    report(task, What::Failed { status: "failed", error, retryable: error.retryable })
}

/// Another worker shall do the job: the attempt does not count.
pub(crate) fn back(task: &Task) -> Report<'_> {
    report(task, What::Back { status: "queued" })
}
