//! One job as its source describes it, read field by field.

use jobledger::domain::{
    ExternalId, Input, Invalid, JobName, MAX_ATTEMPTS, MAX_PRIORITY, MAX_TIMEOUT_SECONDS, MAX_TTL_HOURS,
    Output, PartError, Phase, Progress, Status, StatusInput, TaskName, Timeline, Timestamp, Upsert, new_type,
};
use jobledger::http::{
    FieldError, Fields, artifacts, integer, job_error, json, labels, money, object, percent, status, text,
    timestamp, timings, told,
};

use super::rejected::Rejected;

/// A line that can be read.
#[derive(Debug)]
pub(crate) struct Line {
    /// The line's place in the call, counted from 1.
    pub(crate) number: usize,
    /// The content of the line.
    pub(crate) upsert: Upsert,
    /// The JSON of its input and of its output, ready to be kept.
    pub(crate) input: Vec<u8>,
    pub(crate) output: Vec<u8>,
}

impl Line {
    pub(crate) fn parse(number: usize, line: &[u8], now: Timestamp) -> Result<Self, Rejected> {
        let mut fields = Fields::parse(line).map_err(|error| {
            let hint = if is_begun(line) { "; a job takes one line, as `jq -c` writes it" } else { "" };
            Rejected::new(number, None, vec![FieldError::new("line", Invalid(format!("{error}{hint}")))])
        })?;
        fields.rename("tool", "type");
        fields.rename("params", "payload");
        let fingerprint = fields.fingerprint();
        let external_id: Option<ExternalId> = fields.required("external_id", text);
        let said = external_id.as_ref().map(ToString::to_string);
        let kind = fields.required("type", |raw| new_type(text(raw)?));
        let status = fields.required("status", status);
        let phase: Option<Phase> = fields.optional("phase", text);
        let priority = fields.optional("priority", |raw| integer(raw, 0..=MAX_PRIORITY));
        let name = fields.optional("name", |raw| told(raw, JobName::told)).flatten();
        let labels = fields.optional("labels", labels);
        let created_at = fields.optional("created_at", timestamp);
        let available_at = fields.optional("available_at", timestamp);
        let started_at = fields.optional("started_at", timestamp);
        let completed_at = fields.optional("completed_at", timestamp);
        let error = fields.optional("error", job_error);
        let progress = fields.nested("progress", |fields| Some(progress(fields)));
        let cost = fields.optional("cost_usd", money);
        let max_attempts = fields.optional("max_attempts", |raw| integer(raw, 1..=MAX_ATTEMPTS));
        let timeout_seconds = fields.optional("timeout_seconds", |raw| integer(raw, 1..=MAX_TIMEOUT_SECONDS));
        let ttl_hours = fields.optional("ttl_hours", |raw| integer(raw, 1..=MAX_TTL_HOURS));
        let payload = fields.optional("payload", json);
        let metadata = fields.optional("metadata", object);
        let result = fields.optional("result", json);
        let artifacts = fields.optional("artifacts", artifacts);
        let timings = fields.optional("timings", timings).unwrap_or_default();
        if let (Some(_), Some(StatusInput { status, .. })) = (&phase, status)
            && status != Status::Running
        {
            fields.refuse("phase", Invalid::new("only a running job has one"));
        }
        let timeline = Timeline {
            status: status.map(|status| status.status),
            created_at,
            available_at,
            started_at,
            completed_at,
            error: error.as_ref(),
        };
        // A field that cannot be read is not missing too.
        let readable = |(field, _): &(&str, Invalid)| !fields.is_refused(field);
        let contradictions: Vec<_> = timeline.contradictions(now).into_iter().filter(readable).collect();
        for (field, invalid) in contradictions {
            fields.refuse(field, invalid);
        }
        let upsert = external_id.zip(kind).zip(status).map(|((external_id, kind), status)| Upsert {
            external_id,
            kind,
            status: status.status,
            phase: phase.or_else(|| status.phase.and_then(|word| Phase::try_from(word).ok())),
            priority: priority.unwrap_or(0),
            name,
            labels: labels.unwrap_or_default(),
            created_at,
            available_at,
            started_at,
            completed_at,
            error,
            progress,
            cost,
            max_attempts: max_attempts.unwrap_or(1),
            timeout_seconds,
            ttl_hours,
            input: Input { payload, metadata },
            output: Output { result, artifacts: artifacts.unwrap_or_default(), timings },
            fingerprint,
        });
        let (input, output) = upsert.as_ref().map(|upsert| parts(upsert, &mut fields)).unwrap_or_default();
        let upsert = fields.finish(upsert).map_err(|errors| Rejected::new(number, said, errors))?;
        Ok(Self { number, upsert, input, output })
    }

    pub(crate) fn rejected(&self, errors: Vec<FieldError>) -> Rejected {
        Rejected::new(self.number, Some(self.upsert.external_id.to_string()), errors)
    }
}

/// The JSON of a line's input and output. If one is too long, the error names the field that is longest as a rule.
fn parts(upsert: &Upsert, fields: &mut Fields) -> (Vec<u8>, Vec<u8>) {
    let mut part = |field, json: Result<Vec<u8>, _>| {
        json.unwrap_or_else(|error: PartError| {
            fields.refuse(field, Invalid(error.to_string()));
            Vec::new()
        })
    };
    (part("payload", upsert.input.to_json()), part("result", upsert.output.to_json()))
}

/// Whether an object begins here that ends on another line: so programs print it for people.
fn is_begun(line: &[u8]) -> bool {
    line.starts_with(b"{") && !line.ends_with(b"}")
}

/// How far a job is: a task that is left out is not known, and all of it is then at its beginning.
fn progress(fields: &mut Fields) -> Progress {
    let current_task = fields.optional("current_task", |raw| told(raw, TaskName::told)).flatten();
    let current_task_progress = fields.optional("current_task_progress", percent);
    let overall_progress = fields.optional("overall_progress", percent).unwrap_or_default();
    Progress { current_task, current_task_progress, overall_progress }
}
