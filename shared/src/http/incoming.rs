//! A request as it comes in, for every kind of answer: its line in the log, and whether it may come further.

use std::borrow::Cow;
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::{Request, RequestExt};
use percent_encoding::percent_decode_str;
use tokio::time::Instant;
use uuid::Uuid;

use super::caller::{authenticate, authorize};
use super::methods::reads;
use super::route;
use super::{Access, Answer, Backend, Call, Caller, Problem, call, encoding};
use crate::access::{self, AccessControl, RateLimitStatus, Used};
use crate::domain::{KeyId, Owner, QueryString, Timestamp};
use crate::environment::Environment;
use crate::store::StoreError;

/// A request that came in, and what the log says of it.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The function.
    pub(super) function: &'static str,
    /// When it came.
    pub(super) began: Timestamp,
    /// The same, for the time that it takes.
    started: Instant,
    /// An id that nobody had before.
    pub(super) fresh: Uuid,
    /// Under which the log knows the request.
    pub(super) request_id: String,
    /// The clock, for those who wait.
    pub(super) clock: fn() -> Timestamp,
    method: Method,
    path: String,
    trace_id: Option<String>,
    source_ip: Option<String>,
    deadline_ms: u64,
    /// The route, as the template has it; at a Function URL, which takes any method, the name of the function.
    route: String,
    /// By which key, once it is known to be good.
    known: Option<Known>,
    limit_status: Option<RateLimitStatus>,
}

/// The caller, for the log and for the usage.
#[derive(Debug)]
struct Known {
    key_id: KeyId,
    key_owner: Owner,
    /// For whom, as far as it is known.
    owner: Owner,
}

/// A request that may be answered: its caller, and its words.
#[derive(Debug)]
pub(super) struct Admitted<'r> {
    caller: Option<Caller>,
    body: Cow<'r, [u8]>,
    path: Vec<(String, String)>,
    query: QueryString,
}

impl Admitted<'_> {
    /// The request as its route sees it.
    pub(super) fn call<'a, B: Backend>(
        &'a mut self,
        backend: &'a B,
        access: &'a B::Control,
        incoming: &'a Incoming,
        request: &'a Request,
    ) -> Call<'a, B> {
        Call {
            backend,
            access,
            caller: self.caller.take(),
            limit_status: incoming.limit_status,
            headers: request.headers(),
            body: &self.body,
            path: std::mem::take(&mut self.path),
            query: std::mem::take(&mut self.query),
            now: incoming.began,
            clock: incoming.clock,
            fresh: incoming.fresh,
            request_id: &incoming.request_id,
            source_ip: incoming.source_ip.as_deref(),
        }
    }
}

impl Incoming {
    /// Takes the time and a fresh id, once.
    pub(super) fn of(function: &'static str, clock: fn() -> Timestamp, request: &Request) -> Self {
        let fresh = Environment::fresh_id();
        let context = request.lambda_context_ref();
        let request_id = match context {
            Some(context) if !context.request_id.is_empty() => context.request_id.clone(),
            Some(_) | None => fresh.to_string(),
        };
        Self {
            function,
            began: clock(),
            started: Instant::now(),
            fresh,
            request_id,
            clock,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            trace_id: call::trace_id(request.headers()).map(|trace| trace.to_string()),
            source_ip: route::source_ip_of(request),
            deadline_ms: context.map_or(0, |context| context.deadline),
            route: route::key_of(request).unwrap_or_else(|| function.to_owned()),
            known: None,
            limit_status: None,
        }
    }

    /// How long there is before Lambda ends the function, less this.
    pub(super) fn time_left(&self, margin: Duration) -> Duration {
        if self.deadline_ms == 0 {
            return Duration::MAX;
        }
        let now_ms = u64::try_from((self.clock)().millis()).unwrap_or(0);
        Duration::from_millis(self.deadline_ms.saturating_sub(now_ms)).saturating_sub(margin)
    }

    fn duration_ms(&self) -> u64 {
        (self.clock)().since(self.began)
    }

    fn who(&self) -> (Option<&str>, Option<&str>) {
        self.known.as_ref().map(|known| (known.key_id.as_str(), known.owner.as_str())).unzip()
    }

    /// Logs the one line of a request that was answered whole.
    pub(super) fn answered(&self, answer: &Answer) {
        let Self { function, request_id, method, path, route, trace_id, .. } = self;
        let (key_id, owner) = self.who();
        let (status, duration_ms) = (answer.status().as_u16(), self.duration_ms());
        tracing::info!(function, %method, path, route, key_id, owner, status, duration_ms, request_id, trace_id, "answered");
    }

    /// Logs the one line of a request whose answer was streamed to its end, or to where its caller left.
    pub(super) fn streamed(&self, status: u16, bytes: u64, how: &str) {
        let Self { function, request_id, method, path, route, trace_id, .. } = self;
        let (key_id, owner) = self.who();
        let duration_ms = self.duration_ms();
        tracing::info!(function, %method, path, route, key_id, owner, status, bytes, duration_ms, request_id, trace_id, "{how}");
    }

    /// Logs the one line of a request that was answered with a problem, or whose answer broke off after these bytes.
    pub(super) fn failed(&self, problem: &Problem, bytes: Option<u64>) {
        let Self { function, request_id, method, path, route, trace_id, .. } = self;
        let (key_id, owner) = self.who();
        let (status, code) = (problem.status().as_u16(), problem.code());
        let duration_ms = self.duration_ms();
        // Faults of ours are errors; any other that a caller can cause is not.
        if problem.status().is_server_error() {
            let cause = problem.chain();
            let message = if bytes.is_some() { "broke off" } else { "failed" };
            tracing::error!(function, %method, path, route, key_id, owner, status, code, cause, bytes, duration_ms, request_id, trace_id, "{message}");
        } else {
            tracing::info!(function, %method, path, route, key_id, owner, status, code, duration_ms, request_id, trace_id, "refused");
        }
    }

    /// The method and the path of the route, as metrics have them.
    fn operators_route(&self) -> Cow<'_, str> {
        if self.route.contains(' ') {
            Cow::Borrowed(&self.route)
        } else {
            // Callers choose the method, and must not choose the names of numbers.
            let method = if reads(&self.method) { "GET" } else { "other" };
            Cow::Owned(format!("{method} {}", self.route))
        }
    }

    /// Puts on an answer what every answer has, and notes the call.
    pub(super) fn leave<C: AccessControl>(&self, control: &C, answer: Answer) -> Answer {
        if let Some(Known { key_id, key_owner: owner, .. }) = &self.known {
            let (route, status) = (self.route.as_str(), answer.status().as_u16());
            control.note(&Used { owner, key_id, route, status, now: self.began });
        }
        let operators_route = self.operators_route();
        control.answered(&operators_route, answer.status().as_u16(), self.started.elapsed());
        let answer = answer.with("x-request-id", &self.request_id);
        match self.limit_status {
            Some(limit_status) => limit_status.on(answer),
            None => answer,
        }
    }

    /// Finds the caller, and the words of the request; refuses a caller that may not use the route.
    pub(super) async fn admit<'r, C: AccessControl>(
        &mut self,
        admits: Access,
        max_body_bytes: usize,
        control: &C,
        request: &'r Request,
    ) -> Result<Admitted<'r>, Problem> {
        let parameters = request.query_string_parameters_ref();
        let pairs = parameters.into_iter().flat_map(|map| map.iter());
        let mut query = QueryString::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let reads = request.method() == Method::GET || admits.is_read();
        let shown = authenticate(admits, request.headers(), &mut query, control, self.began).await?;
        let (caller, query) = match shown {
            None => (None, query),
            Some(credential) => {
                // From here on the call counts, however it ends.
                let key = &credential.key;
                let (key_id, key_owner, owner) = (key.key_id.clone(), key.owner.clone(), key.owner.clone());
                let known = self.known.insert(Known { key_id, key_owner, owner });
                self.limit_status = match control.spend(key, self.began).await {
                    // Nobody knows whether a call is left. A read does no harm, and whoever reads may want to know why
                    // nothing can be written.
                    Err(access::Error::Store(error @ StoreError::Unavailable(_))) if reads => {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "a read was let through, as its rate could not be written");
                        None
                    }
                    limit_status => limit_status?,
                };
                if let Some(seconds) =
                    self.limit_status.and_then(|limit_status| limit_status.retry_after_seconds)
                {
                    return Err(Problem::too_many_requests(seconds));
                }
                let (caller, query) = authorize(admits, credential, query)?;
                known.owner = caller.owner.clone();
                (Some(caller), query)
            }
        };
        let body = match max_body_bytes {
            0 => Cow::Borrowed(&[][..]),
            _ if C::IS_BARE => Cow::Borrowed(&[][..]),
            _ => encoding::decoded(request.headers(), request.body().as_ref(), max_body_bytes)?,
        };
        // The local stack hands path values on as they came, API Gateway decodes them: see `path`.
        let decoded = |(name, value): (&str, &str)| {
            (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())
        };
        let path = request.path_parameters_ref().into_iter().flat_map(|map| map.iter()).map(decoded);
        Ok(Admitted { caller, body, path: path.collect(), query })
    }
}
