//! A new job, read from the body of the request.

use jobledger::domain::{
    Input, MAX_ATTEMPTS, MAX_PRIORITY, MAX_TIMEOUT_SECONDS, MAX_TTL_HOURS, NewJob, new_type,
};
use jobledger::http::{Fields, Problem, integer, json, labels, object, text, timestamp};

pub(crate) fn new_job(body: &[u8]) -> Result<NewJob, Problem> {
    let mut fields = Fields::parse(body)?;
    fields.rename("tool", "type");
    fields.rename("params", "payload");
    let fingerprint = fields.fingerprint();
    let kind = fields.required("type", |raw| new_type(text(raw)?));
    let payload = fields.optional("payload", json);
    let metadata = fields.optional("metadata", object);
    let priority = fields.optional("priority", |raw| integer(raw, 0..=MAX_PRIORITY));
    let ttl_hours = fields.optional("ttl_hours", |raw| integer(raw, 1..=MAX_TTL_HOURS));
    let max_attempts = fields.optional("max_attempts", |raw| integer(raw, 1..=MAX_ATTEMPTS));
    let timeout_seconds = fields.optional("timeout_seconds", |raw| integer(raw, 1..=MAX_TIMEOUT_SECONDS));
    let available_at = fields.optional("available_at", timestamp);
    let name = fields.optional("name", text);
    let external_id = fields.optional("external_id", text);
    let labels = fields.optional("labels", labels);
    let new = kind.map(|kind| NewJob {
        external_id,
        input: Input { payload, metadata },
        kind,
        priority: priority.unwrap_or(0),
        ttl_hours,
        max_attempts,
        timeout_seconds,
        available_at,
        name,
        labels: labels.unwrap_or_default(),
        fingerprint,
    });
    fields.finish(new).map_err(Problem::invalid_body)
}
