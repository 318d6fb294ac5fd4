//! What happens around every route, read from top to bottom.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::{RawValue, to_raw_value};

use super::arrival::Arrival;
use super::{Access, Answer, Backend, Call, Problem};
use crate::access::{AccessControl, Flush};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, Invoke, Started};

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

/// The function that serves a route.
pub const fn function<R: Route>() -> Function {
    Function { name: R::NAME, start: |environment| Box::pin(start::<R>(environment)) }
}

async fn start<R: Route>(environment: Environment) -> Result<Started, Error> {
    let (backend, access) = R::Backend::start(&environment).await?;
    let (backend, access) = (Arc::new(backend), Arc::new(access));
    let serving = Serving::<R> { backend, access, clock: environment.clock };
    Ok(Started::Whole(Box::new(serving)))
}

/// What knows who may use a route.
type Control<R> = <<R as Route>::Backend as Backend>::Control;

struct Serving<R: Route> {
    backend: Arc<R::Backend>,
    access: Arc<Control<R>>,
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
            let (backend, access, clock) = (Arc::clone(&self.backend), Arc::clone(&self.access), self.clock);
            let mut adapter = Adapter::from(service_fn(move |request: Request| {
                let (backend, access) = (Arc::clone(&backend), Arc::clone(&access));
                async move { Ok::<_, Error>(serve::<R>(&backend, &access, clock, request).await) }
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
async fn serve<R: Route>(
    backend: &R::Backend,
    access: &Control<R>,
    clock: fn() -> Timestamp,
    request: Request,
) -> Response<Body> {
    let mut arrival = Arrival::of(R::NAME, clock, &request);
    let (time_left, began) = (arrival.time_left(MARGIN), arrival.began);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let answering = tokio::time::timeout(time_left, answer::<R>(backend, access, &mut arrival, &request));
    let (outcome, ()) = tokio::join!(answering, access.flush(began, Flush::Due));
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
    arrival.leave(access, answer).into_response()
}

async fn answer<R: Route>(
    backend: &R::Backend,
    access: &Control<R>,
    arrival: &mut Arrival,
    request: &Request,
) -> Result<Answer, Problem> {
    let mut admitted = arrival.admit(R::ACCESS, R::MAX_BODY_BYTES, access, request).await?;
    R::answer(admitted.call(backend, access, arrival, request)).await
}
