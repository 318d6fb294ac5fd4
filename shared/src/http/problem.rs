//! Problems: every answer that is not what was asked for (RFC 9457).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use lambda_http::http::StatusCode;
use serde::Serialize;

use super::Answer;
use crate::domain::{FieldError, Invalid, Status, TypeName};

/// After how many seconds a caller should try again when the store did not answer.
const RETRY_AFTER_SECONDS: &str = "1";

/// Most wrong fields that one answer names.
const MAX_ERRORS: usize = 100;
/// The code of a job that is refused for its type, as one more than the owner may use.
pub const TOO_MANY_TYPES: &str = "too_many_types";

/// The reason of that, and the remedy.
pub fn type_limit(limit: u32) -> String {
    format!(
        "the owner uses {limit} types already, and may use no other; use one of those, or delete all jobs of one: some \
         minutes later another may take its place"
    )
}

/// Why a request was not carried out, for the caller; and, apart from it, for the operator's log.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldError>,
    job_status: Option<Status>,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The body of a problem, as RFC 9457 has it, with our extension members.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    job_status: Option<Status>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            code,
            title,
            detail: detail.into(),
            errors: Vec::new(),
            job_status: None,
            headers: Vec::new(),
            source: None,
        }))
    }

    /// 401: no key, or one that we do not know.
    pub fn unauthenticated(detail: &str) -> Self {
        let title = "A valid access key is needed";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", title, detail);
        problem.0.headers.push(("www-authenticate", "Bearer realm=\"jobledger\"".into()));
        problem
    }

    /// 403: a key that may not do this.
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "The access key does not allow this", detail)
    }

    /// 403: the owner keeps as much as the key lets it.
    pub fn quota_exceeded(used_bytes: u64, quota_bytes: u64) -> Self {
        let detail = format!(
            "the owner keeps {used_bytes} bytes, and the key lets it keep {quota_bytes}; delete jobs, or wait for ended \
             ones to expire"
        );
        Self::new(StatusCode::FORBIDDEN, "quota_exceeded", "The storage quota is used up", detail)
    }

    /// 403: the owner uses as many types as it may.
    pub fn too_many_types(limit: u32) -> Self {
        Self::new(StatusCode::FORBIDDEN, TOO_MANY_TYPES, "The owner has too many types", type_limit(limit))
    }

    /// 404: no such key.
    pub fn key_not_found() -> Self {
        let detail = "no key has this key_id; keys are removed 90 days after they ended";
        Self::new(StatusCode::NOT_FOUND, "key_not_found", "No such key", detail)
    }

    /// 409: a key that was revoked stays so.
    pub fn key_revoked() -> Self {
        let detail = "the key was revoked, and stays so; make a new one";
        Self::new(StatusCode::CONFLICT, "key_revoked", "The key was revoked", detail)
    }

    /// 429: the key's rate is used up.
    pub fn too_many_requests(retry_after_seconds: u64) -> Self {
        let detail =
            "the key makes more calls than it may; Retry-After says after how many seconds it may again";
        let title = "The rate limit is reached";
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", title, detail);
        problem.0.headers.push(("retry-after", retry_after_seconds.to_string().into()));
        problem
    }

    /// 404: the owner has no such job.
    pub fn job_not_found() -> Self {
        let detail =
            "no job of the owner has this id; ended jobs are removed when their time to live is over";
        Self::new(StatusCode::NOT_FOUND, "job_not_found", "No such job", detail)
    }

    /// 404: no such record.
    pub fn record_not_found() -> Self {
        let detail = "the owner has no record of this kind with this id; it may have been deleted";
        Self::new(StatusCode::NOT_FOUND, "record_not_found", "No such record", detail)
    }

    /// 404: no such path.
    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "No such route", "no route has this path")
    }

    /// 405: the path has routes, and none with this method.
    pub(super) fn method_not_allowed(allow: String) -> Self {
        let detail = format!("this path has the methods {allow}");
        let title = "The path has no such method";
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title, detail);
        problem.0.headers.push(("allow", allow.into()));
        problem
    }

    /// 409: the job's status forbids it.
    pub fn wrong_status(status: Status, what: &str) -> Self {
        let detail = format!("a {status} job cannot be {what}");
        let title = "The job's status forbids this";
        let mut problem = Self::new(StatusCode::CONFLICT, "wrong_status", title, detail);
        problem.0.job_status = Some(status);
        problem
    }

    /// 409: the lease that a report shows ran out, or passed on.
    pub fn lease_lost(status: Status) -> Self {
        let detail = "the lease ran out, or the job passed on; stop working on it, and claim again";
        let mut problem = Self::new(StatusCode::CONFLICT, "lease_lost", "The lease does not hold", detail);
        problem.0.job_status = Some(status);
        problem
    }

    /// 409: a worker holds the job, and this report is not its own.
    pub fn leased() -> Self {
        let detail =
            "a worker holds the job: only it may report, with its lease_token; cancel the job to end that";
        let mut problem = Self::new(StatusCode::CONFLICT, "leased", "A worker holds the job", detail);
        problem.0.job_status = Some(Status::Running);
        problem
    }

    /// 409: a job of the service itself, which shows its own work.
    pub fn service_job(kind: &TypeName) -> Self {
        let detail =
            format!("a {kind} job shows the service's own work; it can be cancelled and deleted only");
        Self::new(StatusCode::CONFLICT, "service_job", "The job is the service's own", detail)
    }

    /// 409: another job has this external id.
    pub fn external_id_taken(status: Status) -> Self {
        let detail = "another job of this owner has this external_id; use another, or delete that job first";
        let title = "The external_id is taken";
        let mut problem = Self::new(StatusCode::CONFLICT, "external_id_taken", title, detail);
        problem.0.job_status = Some(status);
        problem
    }

    /// 422: an idempotency key that came with another body before.
    pub fn idempotency_key_reused() -> Self {
        let detail = "this Idempotency-Key came with another body before; use a new key for a new job";
        let title = "The Idempotency-Key was used for another request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", title, detail)
    }

    /// 422: wrong values in path or query.
    pub fn invalid_query(errors: Vec<FieldError>) -> Self {
        let title = "The path or the query is not valid";
        Self::invalid(StatusCode::UNPROCESSABLE_ENTITY, "invalid_query", title, errors)
    }

    /// 422: wrong values in headers.
    pub fn invalid_header(name: &str, invalid: Invalid) -> Self {
        let errors = vec![FieldError::new(name, invalid)];
        Self::invalid(StatusCode::UNPROCESSABLE_ENTITY, "invalid_header", "A header is not valid", errors)
    }

    /// 400: wrong fields in the body.
    pub fn invalid_body(errors: Vec<FieldError>) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, "invalid_body", "The body is not valid", errors)
    }

    /// 400: a body that changes nothing.
    pub fn empty_change(remedy: impl fmt::Display) -> Self {
        Self::invalid_body(vec![FieldError::new("body", Invalid(format!("must change something: {remedy}")))])
    }

    /// Wrong values. Many programs show the detail only, so it has the first of them.
    fn invalid(status: StatusCode, code: &'static str, title: &'static str, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => String::new(),
            [only] => format!("{} {}", only.field, only.message),
            [first, others @ ..] => {
                format!("{} {}; errors has {} more", first.field, first.message, others.len())
            }
        };
        let mut problem = Self::new(status, code, title, detail);
        problem.0.errors = errors;
        problem
    }

    /// 400: a body that is not the JSON that it should be.
    pub fn invalid_json(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", "The body cannot be read", detail)
    }

    /// 413: more than we take.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The request is too large", detail)
    }

    /// 415: a body packed in a way that we do not unpack.
    pub fn unsupported_encoding() -> Self {
        let detail = "send the body as it is, or with Content-Encoding: gzip";
        let title = "The body's encoding is not supported";
        let mut problem =
            Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", title, detail);
        problem.0.headers.push(("accept-encoding", "gzip".into()));
        problem
    }

    /// 503: the store did not answer; the request may be sent again.
    pub fn unavailable(source: impl Error + Send + Sync + 'static) -> Self {
        let detail = "the store did not answer in time; try again";
        let title = "The store is not available";
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", title, detail);
        problem.0.headers.push(("retry-after", RETRY_AFTER_SECONDS.into()));
        problem.0.source = Some(source.into());
        problem
    }

    /// 503: the deployment has no metrics store.
    pub fn no_metrics_store() -> Self {
        let detail = "the deployment names no metrics store; set METRICS_QUERY_URL";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_metrics_store", "There is no metrics store", detail)
    }

    /// 422: the metrics store does not understand the query.
    pub fn refused_metrics_query(error: &impl fmt::Display) -> Self {
        Self::invalid_query(vec![FieldError::new("query", Invalid(format!("must be PromQL; {error}")))])
    }

    /// 502: the metrics store refused us, failed, or cannot be reached.
    pub fn metrics_store_failed(source: impl Error + Send + Sync + 'static) -> Self {
        let detail = source.to_string();
        let title = "The metrics store failed";
        let mut problem = Self::new(StatusCode::BAD_GATEWAY, "metrics_store_failed", title, detail);
        problem.0.source = Some(source.into());
        problem
    }

    /// 504: the metrics store did not answer in time.
    pub fn metrics_store_timeout(source: impl Error + Send + Sync + 'static) -> Self {
        let detail = "the metrics store did not answer in time; ask for a shorter range or a longer step";
        let title = "The metrics store is too slow";
        let mut problem = Self::new(StatusCode::GATEWAY_TIMEOUT, "metrics_store_timeout", title, detail);
        problem.0.source = Some(source.into());
        problem
    }

    /// 500: our fault; the log says which, under the request's id.
    pub fn internal(source: impl Error + Send + Sync + 'static) -> Self {
        let detail = "the fault is ours and is logged under the x-request-id of this answer";
        let title = "Something went wrong here";
        let mut problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", title, detail);
        problem.0.source = Some(source.into());
        problem
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The stable word.
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Each error behind this problem, outermost first, as one line for the log.
    pub fn chain(&self) -> Option<String> {
        let mut next = self.0.source.as_deref().map(|source| source as &dyn Error);
        let mut chain: Vec<String> = Vec::new();
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        (!chain.is_empty()).then(|| chain.join(": "))
    }

    /// Logs the one line of an event that no request could be made of.
    pub(super) fn log_without_request(&self, function: &'static str, request_id: &str) {
        let (status, code, cause) = (self.0.status.as_u16(), self.0.code, self.chain());
        if self.0.status.is_server_error() {
            tracing::error!(function, status, code, cause, request_id, "failed");
        } else {
            tracing::info!(function, status, code, request_id, "refused");
        }
    }

    /// The answer that says so.
    pub fn answer(&self) -> Answer {
        let body = Body {
            r#type: "about:blank",
            title: self.0.title,
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            code: self.0.code,
            errors: self.0.errors.get(..MAX_ERRORS).unwrap_or(&self.0.errors),
            job_status: self.0.job_status,
        };
        let mut answer = Answer::json(self.0.status, &body).with("content-type", "application/problem+json");
        for (name, value) in &self.0.headers {
            answer = answer.with(name, value);
        }
        answer
    }
}
