//! A job that is to be created, as its creator describes it.

use uuid::Uuid;

use super::{
    ExternalId, Fingerprint, Head, IdempotencyKey, Input, Job, JobId, JobName, Labels, Owner, State,
    Timestamp, TraceId, TypeName,
};

/// A job that is to be created.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// The kind of work.
    pub kind: TypeName,
    /// The caller's own id for it.
    pub external_id: Option<ExternalId>,
    /// Its name for people.
    pub name: Option<JobName>,
    /// The labels that it is told apart by.
    pub labels: Labels,
    /// 0 (lowest) to 10.
    pub priority: u8,
    /// How many attempts it may have; `None`: as its type says.
    pub max_attempts: Option<u32>,
    /// How long one attempt may take.
    pub timeout_seconds: Option<u32>,
    /// From when on it may be claimed; `None`: from its creation on.
    pub available_at: Option<Timestamp>,
    /// How long it is kept after its end, in hours; `None`: as the deployment says.
    pub ttl_hours: Option<u16>,
    /// Its input.
    pub input: Input,
    /// All that its creator said, hashed.
    pub fingerprint: Fingerprint,
}

/// The call that creates a job.
#[derive(Clone, Debug)]
pub struct Creation {
    /// Whose job it is.
    pub owner: Owner,
    /// The idempotency key of the call.
    pub key: Option<IdempotencyKey>,
    /// The trace that the call belongs to.
    pub trace_id: Option<TraceId>,
    /// How many bytes the owner may keep; `None`: as many as it likes.
    pub quota_bytes: Option<u64>,
    /// How many types the owner may use; `None`: as many as the deployment says.
    pub max_types: Option<u32>,
    /// The current time.
    pub now: Timestamp,
    /// An id that nobody had before.
    pub fresh: Uuid,
}

impl Creation {
    /// The id that the job gets: by its external id, else by the idempotency key, else one that nobody had before.
    pub fn id(&self, new: &NewJob) -> JobId {
        match (&new.external_id, &self.key) {
            (Some(external_id), _) => JobId::of_external_id(&self.owner, external_id),
            (None, Some(key)) => JobId::of_idempotency_key(&self.owner, key),
            (None, None) => JobId::from(self.fresh),
        }
    }
}

impl NewJob {
    /// The head of the job, which has no parts yet, in one of so many parts of the indexes.
    pub fn head(&self, call: &Creation, shards: u16, default_ttl_hours: u16) -> Head {
        let (id, now) = (call.id(self), call.now);
        Head {
            job: Job {
                id,
                owner: call.owner.clone(),
                kind: self.kind.clone(),
                external_id: self.external_id.clone(),
                name: self.name.clone(),
                priority: self.priority,
                labels: self.labels.clone(),
                created_at: now,
                updated_at: now,
                attempt: 0,
                max_attempts: self.max_attempts.unwrap_or(1),
                failures: 0,
                unheard: 0,
                timeout_seconds: self.timeout_seconds,
                cost: None,
                trace_id: call.trace_id.clone(),
                progress: None,
                holder: None,
                last_try: None,
                arrival: None,
                bytes: 0,
                state: State::Queued { available_at: self.available_at.unwrap_or(now).max(now) },
            },
            shard: id.shard(shards),
            fingerprint: self.fingerprint,
            written_by: call.fresh,
            ttl_hours: self.ttl_hours.unwrap_or(default_ttl_hours),
            input: (!self.input.is_empty()).then_some(call.fresh),
            output: None,
            report: None,
            changed_by: None,
            retried_by: None,
        }
    }
}
