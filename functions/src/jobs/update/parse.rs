//! A change of a job, read from the body of the request.

use jobledger::domain::{
    Edits, Invalid, JobChange, LeaseToken, MAX_ATTEMPTS, MAX_PRIORITY, MAX_TIMEOUT_SECONDS, Output, Phase,
    Renewal, ReportedProgress, Status, StatusInput, TaskName,
};
use jobledger::http::{
    Fields, Problem, artifacts, flag, integer, job_error, json, label_changes, money, object, percent,
    status, text, timestamp, timings, told,
};
use jobledger::queue::{MAX_LEASE_SECONDS, MIN_LEASE_SECONDS};

/// A change of a job, checked field by field.
pub(crate) fn job_change(body: &[u8]) -> Result<JobChange, Problem> {
    let mut fields = Fields::parse(body)?;
    let fingerprint = fields.fingerprint();
    let token: Option<LeaseToken> = fields.optional("lease_token", text);
    let seconds =
        fields.optional("lease_seconds", |raw| integer::<u32>(raw, MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS));
    if seconds.is_some() && token.is_none() {
        fields.refuse("lease_seconds", Invalid::new("needs the lease_token that it is for"));
    }
    let said = fields.optional("status", status);
    let StatusWords { status, phase: word } = StatusWords::from(said);
    let phase: Option<Phase> = fields.optional("phase", text);
    let progress = fields.nested("progress", |fields| Some(progress(fields)));
    let mut says_why = false;
    let error = fields.optional("error", |raw| {
        says_why = true;
        job_error(raw)
    });
    let retryable = fields.optional("retryable", flag);
    if phase.is_some() && status.is_some_and(|status| status != Status::Running) {
        fields.refuse("phase", Invalid::new("only a running job has one"));
    }
    match (status, says_why) {
        (Some(Status::Failed), false) => fields.refuse("error", Invalid::new("a failed try needs it")),
        (Some(Status::Failed), true) | (_, false) => {}
        (_, true) => {
            fields.refuse("error", Invalid::new("only a failed try has one: say status failed"));
        }
    }
    if retryable.is_some() && status != Some(Status::Failed) {
        fields.refuse("retryable", Invalid::new("only a failed try has it: say status failed"));
    }
    let output = Output {
        result: fields.optional("result", json),
        artifacts: fields.optional("artifacts", artifacts).unwrap_or_default(),
        timings: fields.optional("timings", timings).unwrap_or_default(),
    };
    let change = JobChange {
        lease: token.map(|token| {
            let seconds = seconds.unwrap_or(token.terms().seconds);
            Renewal { token, seconds }
        }),
        edits: edits(&mut fields),
        status,
        phase: phase.or(word),
        progress,
        output,
        error,
        retryable,
        cost: fields.optional("cost_usd", money),
        fingerprint,
    };
    let change = fields.finish(Some(change)).map_err(Problem::invalid_body)?;
    if !(change.is_report() || change.is_edit()) {
        return Err(Problem::empty_change("give a field to edit or to report"));
    }
    Ok(change)
}

/// The values that a job's caller changes.
fn edits(fields: &mut Fields) -> Edits {
    Edits {
        priority: fields.optional("priority", |raw| integer(raw, 0..=MAX_PRIORITY)),
        name: fields.optional("name", text),
        labels: fields.optional("labels", label_changes),
        metadata: fields.optional("metadata", object),
        payload: fields.optional("payload", json),
        available_at: fields.optional("available_at", timestamp),
        max_attempts: fields.optional("max_attempts", |raw| integer(raw, 1..=MAX_ATTEMPTS)),
        timeout_seconds: fields.nullable("timeout_seconds", |raw| integer(raw, 1..=MAX_TIMEOUT_SECONDS)),
    }
}

/// A status as it was said, taken apart.
struct StatusWords {
    status: Option<Status>,
    phase: Option<Phase>,
}

impl From<Option<StatusInput>> for StatusWords {
    fn from(said: Option<StatusInput>) -> Self {
        let phase = said.and_then(|said| said.phase).and_then(|word| Phase::try_from(word).ok());
        Self { status: said.map(|said| said.status), phase }
    }
}

fn progress(fields: &mut Fields) -> ReportedProgress {
    let mut says_task = false;
    let current_task = fields.optional("current_task", |raw| {
        says_task = true;
        told(raw, TaskName::told)
    });
    let current_task = current_task.flatten();
    let current_task_progress = fields.optional("current_task_progress", percent);
    let overall_progress = fields.optional("overall_progress", percent);
    if current_task_progress.is_some() && !says_task {
        fields.refuse("current_task_progress", Invalid::new("needs the current_task that it is of"));
    }
    // If the task shows nothing, its progress is of nothing.
    let current_task_progress = current_task_progress.filter(|_| current_task.is_some());
    ReportedProgress { current_task, current_task_progress, overall_progress }
}
