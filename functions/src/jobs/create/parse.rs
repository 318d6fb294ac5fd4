//! What a new job is, read from the body of the request.

use jobledger::domain::{
    ExternalId, Fingerprint, Head, Input, Job, JobId, JobName, Labels, MAX_ATTEMPTS, MAX_PRIORITY,
    MAX_TIMEOUT_SECONDS, MAX_TTL_HOURS, Owner, State, Timestamp, TypeName, callers_type,
};
use jobledger::http::{Call, Fields, Problem, integer, json, labels, object, text, timestamp};
use jobledger::store::Ledger;

pub(crate) struct NewJob {
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) input: Input,
    kind: TypeName,
    priority: u8,
    ttl_hours: u16,
    /// `None`: as the type says.
    pub(crate) max_attempts: Option<u32>,
    timeout_seconds: Option<u32>,
    available_at: Option<Timestamp>,
    name: Option<JobName>,
    labels: Labels,
    fingerprint: Fingerprint,
}

impl NewJob {
    pub(crate) fn parse(body: &[u8], default_ttl_hours: u16) -> Result<Self, Problem> {
        let mut fields = Fields::parse(body)?;
        fields.rename("tool", "type");
        fields.rename("params", "payload");
        let fingerprint = fields.fingerprint();
        let kind = fields.required("type", |raw| callers_type(text(raw)?));
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
        let new = kind.map(|kind| Self {
            external_id,
            input: Input { payload, metadata },
            kind,
            priority: priority.unwrap_or(0),
            ttl_hours: ttl_hours.unwrap_or(default_ttl_hours),
            max_attempts,
            timeout_seconds,
            available_at,
            name,
            labels: labels.unwrap_or_default(),
            fingerprint,
        });
        fields.finish(new).map_err(Problem::invalid_body)
    }

    /// The head of the job, which has no parts yet.
    pub(crate) fn head(&self, id: JobId, owner: Owner, call: &Call<'_, Ledger>, shards: u16) -> Head {
        let now = call.now;
        Head {
            job: Job {
                id,
                owner,
                kind: self.kind.clone(),
                external_id: self.external_id.clone(),
                name: self.name.clone(),
                priority: self.priority,
                labels: self.labels.clone(),
                created_at: now,
                updated_at: now,
                attempt: 0,
                max_attempts: self.max_attempts.unwrap_or(1),
                timeout_seconds: self.timeout_seconds,
                cost: None,
                trace_id: call.trace_id(),
                progress: None,
                holder: None,
                last_try: None,
                bytes: 0,
                state: State::Queued { available_at: self.available_at.unwrap_or(now).max(now) },
            },
            shard: id.shard(shards),
            fingerprint: self.fingerprint,
            written_by: call.fresh,
            ttl_hours: self.ttl_hours,
            input: (!self.input.is_empty()).then_some(call.fresh),
            output: None,
            report: None,
            changed_by: None,
        }
    }
}
