//! What happens around every route, read from top to bottom.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::{HeaderValue, Request as HttpRequest};
use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, RequestExt, Response};
use lambda_runtime::{Context, LambdaEvent};
use percent_encoding::percent_decode_str;
use serde_json::value::{RawValue, to_raw_value};

use super::access::admit;
use super::{Access, AccessKey, Answer, Call, Problem, QueryString, call};
use crate::domain::{KeyHash, Timestamp};
use crate::lambda::{BoxFuture, Environment, Error, Function, Invoke};

/// One kind of request, and its answer.
pub trait Route: Send + Sync + 'static {
    /// The function's name.
    const NAME: &'static str;
    /// Who may use it.
    const ACCESS: Access;
    /// Longest body that it reads, in bytes; 0: a body is not looked at.
    const MAX_BODY_BYTES: usize;
    /// What it works with.
    type Backend: Backend;

    /// Answers a request.
    fn answer(call: Call<'_, Self::Backend>) -> impl Future<Output = Result<Answer, Problem>> + Send;
}

/// What functions work with: made once, when the function starts.
pub trait Backend: Debug + Sized + Send + Sync + 'static {
    /// Makes it.
    fn start(environment: &Environment) -> impl Future<Output = Result<Self, Error>> + Send;

    /// The access key with this hash.
    fn key(
        &self,
        hash: &KeyHash,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<AccessKey>, Problem>> + Send;
}

/// The backend of functions that touch nothing. It knows no keys, so its routes must be open.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Backend for Nothing {
    async fn start(_: &Environment) -> Result<Self, Error> {
        Ok(Self)
    }

    async fn key(&self, _: &KeyHash, _: Timestamp) -> Result<Option<AccessKey>, Problem> {
        Ok(None)
    }
}

/// The function that serves a route.
pub const fn function<R: Route>() -> Function {
    Function { name: R::NAME, start: |environment| Box::pin(start::<R>(environment)) }
}

async fn start<R: Route>(environment: Environment) -> Result<Box<dyn Invoke>, Error> {
    let backend = R::Backend::start(&environment).await?;
    Ok(Box::new(Started::<R> { backend: Arc::new(backend), clock: environment.clock }))
}

struct Started<R: Route> {
    backend: Arc<R::Backend>,
    clock: fn() -> Timestamp,
}

impl<R: Route> Invoke for Started<R> {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let payload: LambdaRequest = serde_json::from_str(event.get())?;
            let (backend, clock) = (Arc::clone(&self.backend), self.clock);
            let mut adapter = Adapter::from(service_fn(move |request: Request| {
                let backend = Arc::clone(&backend);
                async move { Ok::<_, Error>(serve::<R>(&backend, clock, request).await) }
            }));
            let response = adapter.call(LambdaEvent::new(payload, context)).await?;
            Ok(to_raw_value(&response)?)
        })
    }
}

/// How long before Lambda ends a function its answer has to be ready: the caller gets ours, and not API Gateway's.
const MARGIN: Duration = Duration::from_millis(500);

/// How long there is to answer. Each request to DynamoDB has a limit of its own, but several may come together.
fn time_left(request: &Request, now: Timestamp) -> Duration {
    let deadline_ms = request.lambda_context_ref().map_or(0, |context| context.deadline);
    if deadline_ms == 0 {
        return Duration::MAX;
    }
    let now_ms = u64::try_from(now.millis()).unwrap_or(0);
    Duration::from_millis(deadline_ms.saturating_sub(now_ms)).saturating_sub(MARGIN)
}

/// Admits, answers, and logs one line.
async fn serve<R: Route>(backend: &R::Backend, clock: fn() -> Timestamp, request: Request) -> Response<Body> {
    let began = clock();
    let fresh = Environment::fresh_id();
    let request_id = match request.lambda_context_ref() {
        Some(context) if !context.request_id.is_empty() => context.request_id.clone(),
        Some(_) | None => fresh.to_string(),
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let trace_id = call::trace_id(request.headers()).map(|trace| trace.to_string());
    let answering = answer::<R>(backend, clock, began, fresh, &request);
    let outcome = tokio::time::timeout(time_left(&request, began), answering)
        .await
        .unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed)));
    let duration_ms = clock().since(began);
    let answer = match outcome {
        Ok(answer) => {
            let status = answer.status().as_u16();
            tracing::info!(function = R::NAME, %method, path, status, duration_ms, request_id, trace_id, "answered");
            answer
        }
        Err(problem) => {
            let (status, code) = (problem.status().as_u16(), problem.code());
            // Faults of ours are errors; whatever else a caller can cause is not.
            if problem.status().is_server_error() {
                let cause = problem.chain();
                tracing::error!(function = R::NAME, %method, path, status, code, cause, duration_ms, request_id, trace_id, "failed");
            } else {
                tracing::info!(function = R::NAME, %method, path, status, code, duration_ms, request_id, trace_id, "refused");
            }
            problem.answer()
        }
    };
    let mut response = answer.into_response();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn answer<R: Route>(
    backend: &R::Backend,
    clock: fn() -> Timestamp,
    now: Timestamp,
    fresh: uuid::Uuid,
    request: &HttpRequest<Body>,
) -> Result<Answer, Problem> {
    let parameters = request.query_string_parameters_ref();
    let pairs = parameters.into_iter().flat_map(|map| map.iter());
    let mut query = QueryString::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let acts_for = if R::ACCESS == Access::Open { None } else { query.take("owner") };
    let caller = admit(R::ACCESS, request.headers(), acts_for.as_deref(), backend, now).await?;
    let body: &[u8] = if R::MAX_BODY_BYTES == 0 { &[] } else { request.body().as_ref() };
    if body.len() > R::MAX_BODY_BYTES {
        return Err(Problem::too_large(format!("the body must be at most {} bytes", R::MAX_BODY_BYTES)));
    }
    // API Gateway hands path values on as they came, still encoded.
    let decoded = |(name, value): (&str, &str)| {
        (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let path = request.path_parameters_ref().into_iter().flat_map(|map| map.iter()).map(decoded).collect();
    let headers = request.headers();
    R::answer(Call { backend, caller, headers, body, path, query, acts_for, now, clock, fresh }).await
}
