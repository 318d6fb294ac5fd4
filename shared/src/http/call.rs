//! One request, as a route sees it.

use std::fmt;

use lambda_http::http::HeaderMap;
use serde::Serialize;
use uuid::Uuid;

use super::{Backend, Caller, Problem, prefer};
use crate::access::{AccessControl, MAX_WAIT_SECONDS, RateLimitStatus, WAIT_SECONDS_A_CALL};
use crate::audit::Audit;
use crate::domain::{IdempotencyKey, Invalid, JobId, Owner, QueryString, Scope, Timestamp, TraceId};

/// One request: its caller, its content, and its time.
#[derive(Debug)]
pub struct Call<'a, B: Backend> {
    /// The values that the function works with.
    pub backend: &'a B,
    /// The access control, which knows the callers.
    pub(super) access: &'a B::Control,
    /// The caller that the request showed: `None` on open routes.
    pub caller: Option<Caller>,
    /// How the key stands with its rate; `None`: it has no limit, or there is no key.
    pub limit_status: Option<RateLimitStatus>,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body; inflated, where it came packed.
    pub body: &'a [u8],
    /// The values in the path, by the names that the template gives them.
    pub path: Vec<(String, String)>,
    /// The values in the query, without `owner`.
    pub query: QueryString,
    /// The current time, for all that this call writes.
    pub now: Timestamp,
    /// The clock, for those who wait.
    pub clock: fn() -> Timestamp,
    /// An id that nobody had before.
    pub fresh: Uuid,
    /// Under which the log knows the request.
    pub request_id: &'a str,
    /// The address that it came from, as Lambda says; no header tells it, because callers write headers.
    pub source_ip: Option<&'a str>,
}

/// How long to hold an answer back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Whole seconds, 0 to 25.
    pub seconds: u8,
}

impl Wait {
    /// Reads `wait` or the like.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let seconds = text.parse::<u32>().ok().filter(|seconds| *seconds <= MAX_WAIT_SECONDS);
        let seconds = seconds.and_then(|seconds| u8::try_from(seconds).ok());
        seconds
            .map(|seconds| Self { seconds })
            .ok_or_else(|| Invalid(format!("must be a whole number of seconds from 0 to {MAX_WAIT_SECONDS}")))
    }
}

impl<B: Backend> Call<'_, B> {
    /// Refuses `?owner=` on a route where it means nothing: a caller that sends it would be misunderstood.
    pub fn refuse_owner(&mut self, why: &'static str) {
        if self.caller.as_ref().is_some_and(|caller| caller.acts_for.is_some()) {
            self.query.refuse("owner", Invalid::new(why));
        }
    }

    /// Takes off the key's rate the cost of waiting so many seconds, in one go, and off the rate that bounds how many of the
    /// key's calls wait at once. Returns how many of them that pays for: none if nothing is left. A call that waits keeps a function busy, and all functions
    /// of an account share one bound. Nobody is refused for it: a caller that may not wait is answered at once.
    pub async fn pay_wait(&self, seconds: u32) -> u32 {
        let Some(Caller { key, .. }) = &self.caller else { return seconds };
        let calls = seconds.div_ceil(WAIT_SECONDS_A_CALL);
        if calls == 0 {
            return 0;
        }
        match self.access.take(key, calls, self.now).await {
            Ok(taken) => seconds.min(taken.saturating_mul(WAIT_SECONDS_A_CALL)),
            Err(error) => {
                let cause = Problem::from(error).chain();
                tracing::warn!(cause, "a wait could not be paid for, and is left out");
                0
            }
        }
    }

    /// The caller.
    pub fn caller(&self) -> Result<&Caller, Problem> {
        self.caller.as_ref().ok_or_else(|| Problem::unauthenticated("this route needs a key"))
    }

    /// The owner that this call acts for.
    pub fn owner(&self) -> Result<&Owner, Problem> {
        self.caller().map(|caller| &caller.owner)
    }

    /// The owner that the request named, where it named one: links to further pages name it again.
    pub fn acts_for(&self) -> Option<&Owner> {
        self.caller.as_ref()?.acts_for.as_ref()
    }

    /// Refuses a key without this scope: where a route's access is [`Access::Any`](super::Access::Any).
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        self.caller()?.require(&[scope])
    }

    /// How many bytes the key's owner may keep for the key to add more; `None`: no end.
    pub fn storage_quota_bytes(&self) -> Option<u64> {
        self.caller.as_ref()?.key.storage_quota_bytes
    }

    /// How many types the key's owner may use for the key to use a new one; `None`: as many as the deployment says.
    pub fn max_types(&self) -> Option<u32> {
        self.caller.as_ref()?.key.max_types
    }

    /// Refuses where the owner keeps so much already that the key lets it keep no more.
    pub fn check_room(&self, used_bytes: u64) -> Result<(), Problem> {
        match self.storage_quota_bytes() {
            Some(quota_bytes) if used_bytes >= quota_bytes => {
                Err(Problem::quota_exceeded(used_bytes, quota_bytes))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Logs the action of this call, its object and the object's owner; [`Audit`] says which values may stand there.
    pub fn audit(
        &self,
        action: &str,
        subject: &impl fmt::Display,
        owner: Option<&Owner>,
        detail: &impl Serialize,
    ) {
        let key = self.caller.as_ref().map(|caller| &caller.key);
        let detail = serde_json::to_string(detail).ok();
        Audit {
            action,
            subject: &subject.to_string(),
            owner,
            detail: detail.as_deref(),
            key_id: key.map(|key| key.key_id.as_str()),
            key_owner: key.map(|key| &key.owner),
            request_id: Some(self.request_id),
            source_ip: self.source_ip,
        }
        .log();
    }

    /// A value in the path, by the name that the template gives it.
    pub fn path_value(&self, name: &str) -> Option<&str> {
        self.path.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The job that the path names; an error in it is reported when the query is finished, with all others.
    pub fn job_id(&mut self) -> Option<JobId> {
        let id = JobId::try_from(self.path_value("job_id").unwrap_or_default());
        id.map_err(|invalid| self.query.refuse("job_id", invalid)).ok()
    }

    /// The `Idempotency-Key` header, where there is one.
    pub fn idempotency_key(&self) -> Result<Option<IdempotencyKey>, Problem> {
        let Some(value) = self.headers.get("idempotency-key") else { return Ok(None) };
        let key = value.to_str().map_err(|_| Invalid::new("must be visible ASCII"));
        let key = key.and_then(IdempotencyKey::try_from);
        key.map(Some).map_err(|invalid| Problem::invalid_header("Idempotency-Key", invalid))
    }

    /// How long the caller would wait for what it asks for, where it says so: `Prefer: wait=N`.
    pub fn prefer_wait(&self) -> Result<Option<Wait>, Problem> {
        prefer::wait(self.headers)
    }

    /// The trace that the caller works in.
    pub fn trace_id(&self) -> Option<TraceId> {
        trace_id(self.headers)
    }
}

/// The trace that a request says it belongs to: by its `traceparent`, or by the header of AWS X-Ray, which API Gateway sets.
pub(super) fn trace_id(headers: &HeaderMap) -> Option<TraceId> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text("traceparent") {
        Some(traceparent) => TraceId::of_traceparent(traceparent),
        None => TraceId::of_xray(text("x-amzn-trace-id")?),
    }
}
