//! What happens around every route, read from top to bottom.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::{RawValue, to_raw_value};

use super::arrival::Arrival;
use super::{Access, AccessKey, Answer, Call, Problem, Ticket};
use crate::domain::{KeyHash, Timestamp};
use crate::lambda::{BoxFuture, Environment, Error, Function, Invoke, Started};

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

    /// The ticket with this hash. Functions that take none know none.
    fn ticket(
        &self,
        _hash: &KeyHash,
        _now: Timestamp,
    ) -> impl Future<Output = Result<Option<Ticket>, Problem>> + Send {
        std::future::ready(Ok(None))
    }
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

async fn start<R: Route>(environment: Environment) -> Result<Started, Error> {
    let backend = R::Backend::start(&environment).await?;
    let serving = Serving::<R> { backend: Arc::new(backend), clock: environment.clock };
    Ok(Started::Whole(Box::new(serving)))
}

struct Serving<R: Route> {
    backend: Arc<R::Backend>,
    clock: fn() -> Timestamp,
}

impl<R: Route> Invoke for Serving<R> {
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

/// Admits, answers, and logs one line.
async fn serve<R: Route>(backend: &R::Backend, clock: fn() -> Timestamp, request: Request) -> Response<Body> {
    let arrival = Arrival::of(R::NAME, clock, &request);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let outcome = tokio::time::timeout(arrival.time_left(MARGIN), answer::<R>(backend, &arrival, &request))
        .await
        .unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed)));
    let answer = match outcome {
        Ok(answer) => {
            arrival.answered(&answer);
            answer
        }
        Err(problem) => {
            arrival.failed(&problem, None);
            problem.answer()
        }
    };
    answer.with("x-request-id", &arrival.request_id).into_response()
}

async fn answer<R: Route>(
    backend: &R::Backend,
    arrival: &Arrival,
    request: &Request,
) -> Result<Answer, Problem> {
    let mut admitted = arrival.admit(R::ACCESS, R::MAX_BODY_BYTES, backend, request).await?;
    R::answer(admitted.call(backend, arrival, request)).await
}
