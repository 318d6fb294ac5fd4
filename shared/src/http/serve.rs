//! What happens around every route, read from top to bottom.

use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::{RawValue, to_raw_value};

use super::arrival::Arrival;
use super::route::{NotServed, find};
use super::{Answer, Backend, Flush, Gate, Problem, Serves};
use crate::domain::Timestamp;
use crate::lambda::{BoxFuture, Environment, Error, Function, Invoke, Started};

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

/// The function that serves a route, or several.
pub const fn function<F: Serves>() -> Function {
    Function {
        name: F::NAME,
        routes: || F::ROUTES.iter().map(|route| route.key).collect(),
        start: |environment| Box::pin(start::<F>(environment)),
    }
}

async fn start<F: Serves>(environment: Environment) -> Result<Started, Error> {
    let backend = F::Backend::start(&environment).await?;
    let serving = Serving::<F> { backend: Arc::new(backend), clock: environment.clock };
    Ok(Started::Whole(Box::new(serving)))
}

struct Serving<F: Serves> {
    backend: Arc<F::Backend>,
    clock: fn() -> Timestamp,
}

impl<F: Serves> Invoke for Serving<F> {
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
                async move { Ok::<_, Error>(serve::<F>(&backend, clock, request).await) }
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
async fn serve<F: Serves>(
    backend: &F::Backend,
    clock: fn() -> Timestamp,
    request: Request,
) -> Response<Body> {
    let mut arrival = Arrival::of(F::NAME, clock, &request);
    let (time_left, began) = (arrival.time_left(MARGIN), arrival.began);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let answering = tokio::time::timeout(time_left, answer::<F>(backend, &mut arrival, &request));
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

async fn answer<F: Serves>(
    backend: &F::Backend,
    arrival: &mut Arrival,
    request: &Request,
) -> Result<Answer, Problem> {
    let Some(route) = find(F::ROUTES, request) else {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        return Err(Problem::internal(NotServed { function: F::NAME, method, path }));
    };
    let mut admitted = arrival.admit(route.access, route.max_body_bytes, backend.gate(), request).await?;
    (route.answer)(admitted.call(backend, arrival, request)).await
}
