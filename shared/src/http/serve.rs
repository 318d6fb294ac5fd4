//! The steps around every route, read from top to bottom.

use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::{RawValue, to_raw_value};

use super::incoming::Incoming;
use super::route::{NotServed, find};
use super::{Answer, Backend, Problem, Serves};
use crate::access::{AccessControl, Flush};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, Invoke, Started};

/// The function that serves a route, or several.
pub const fn function<F: Serves>() -> Function {
    Function {
        name: F::NAME,
        routes: || F::ROUTES.iter().map(|route| route.key).collect(),
        start: |environment| Box::pin(start::<F>(environment)),
    }
}

async fn start<F: Serves>(environment: Environment) -> Result<Started, Error> {
    let (backend, access) = F::Backend::start(&environment).await?;
    let (backend, access) = (Arc::new(backend), Arc::new(access));
    let serving = Serving::<F> { backend, access, clock: environment.clock };
    Ok(Started::Whole(Box::new(serving)))
}

/// The access control, which knows the callers of a function's routes.
type Control<F> = <<F as Serves>::Backend as Backend>::Control;

struct Serving<F: Serves> {
    backend: Arc<F::Backend>,
    access: Arc<Control<F>>,
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
            let (backend, access, clock) = (Arc::clone(&self.backend), Arc::clone(&self.access), self.clock);
            let mut adapter = Adapter::from(service_fn(move |request: Request| {
                let (backend, access) = (Arc::clone(&backend), Arc::clone(&access));
                async move { Ok::<_, Error>(serve::<F>(&backend, &access, clock, request).await) }
            }));
            let response = adapter.call(LambdaEvent::new(payload, context)).await?;
            Ok(to_raw_value(&response)?)
        })
    }

    fn remembers(&self) -> bool {
        self.access.remembers()
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.access.flush((self.clock)(), Flush::All))
    }
}

/// How long before Lambda ends a function its answer has to be ready: the caller gets ours, and not API Gateway's.
const MARGIN: Duration = Duration::from_millis(500);

/// Admits, answers, and logs one line.
async fn serve<F: Serves>(
    backend: &F::Backend,
    access: &Control<F>,
    clock: fn() -> Timestamp,
    request: Request,
) -> Response<Body> {
    let mut incoming = Incoming::of(F::NAME, clock, &request);
    let (time_left, began) = (incoming.time_left(MARGIN), incoming.began);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let answering = tokio::time::timeout(time_left, answer::<F>(backend, access, &mut incoming, &request));
    let (outcome, ()) = tokio::join!(answering, access.flush(began, Flush::Due));
    let answer = match outcome.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed))) {
        Ok(answer) => {
            incoming.answered(&answer);
            answer
        }
        Err(problem) => {
            incoming.failed(&problem, None);
            problem.answer()
        }
    };
    incoming.leave(access, answer).into_response()
}

async fn answer<F: Serves>(
    backend: &F::Backend,
    access: &Control<F>,
    incoming: &mut Incoming,
    request: &Request,
) -> Result<Answer, Problem> {
    let Some(route) = find(F::ROUTES, request) else {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        return Err(Problem::internal(NotServed { function: F::NAME, method, path }));
    };
    let mut admitted = incoming.admit(route.access, route.max_body_bytes, access, request).await?;
    (route.answer)(admitted.call(backend, access, incoming, request)).await
}
