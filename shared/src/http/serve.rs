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
use super::{Access, Answer, Call, Flush, Gate, Problem};
use crate::domain::Timestamp;
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
    /// What knows who may call.
    type Gate: Gate;

    /// Makes it.
    fn start(environment: &Environment) -> impl Future<Output = Result<Self, Error>> + Send;

    /// What knows who may call.
    fn gate(&self) -> &Self::Gate;
}

/// The backend of functions that touch nothing. It knows no keys, so its routes must be open.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Backend for Nothing {
    type Gate = Self;

    async fn start(_: &Environment) -> Result<Self, Error> {
        Ok(Self)
    }

    fn gate(&self) -> &Self {
        self
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

    fn remembers(&self) -> bool {
        self.backend.gate().remembers()
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.backend.gate().flush((self.clock)(), Flush::All))
    }
}

/// How long before Lambda ends a function its answer has to be ready: the caller gets ours, and not API Gateway's.
const MARGIN: Duration = Duration::from_millis(500);

/// Admits, answers, and logs one line.
async fn serve<R: Route>(backend: &R::Backend, clock: fn() -> Timestamp, request: Request) -> Response<Body> {
    let mut arrival = Arrival::of(R::NAME, clock, &request);
    let (time_left, began) = (arrival.time_left(MARGIN), arrival.began);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let answering = tokio::time::timeout(time_left, answer::<R>(backend, &mut arrival, &request));
    let (outcome, ()) = tokio::join!(answering, backend.gate().flush(began, Flush::Due));
    let answer = match outcome.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed))) {
        Ok(answer) => {
            arrival.answered(&answer);
            answer
        }
        Err(problem) => {
            arrival.failed(&problem, None);
            problem.answer()
        }
    };
    arrival.leave(backend.gate(), answer).into_response()
}

async fn answer<R: Route>(
    backend: &R::Backend,
    arrival: &mut Arrival,
    request: &Request,
) -> Result<Answer, Problem> {
    let mut admitted = arrival.admit(R::ACCESS, R::MAX_BODY_BYTES, backend.gate(), request).await?;
    R::answer(admitted.call(backend, arrival, request)).await
}
