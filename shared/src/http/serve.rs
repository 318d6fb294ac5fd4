//! The steps around every route, read from top to bottom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lambda_http::http::Method;
use lambda_http::tower::{Service, service_fn};
use lambda_http::{Adapter, Body, Request, Response};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::cors::Cors;
use super::incoming::Incoming;
use super::methods::{Methods, reads};
use super::panics::caught;
use super::route::{Found, NotServed, find};
use super::{Access, Answer, Backend, Problem, Serves, event};
use crate::access::{AccessControl, Flush};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, Invoke, RouteKey, Started};

/// The function that serves a route, or several.
pub const fn function<F: Serves>() -> Function {
    Function { name: F::NAME, routes: routes::<F>, start: |environment| Box::pin(start::<F>(environment)) }
}

/// Each route, and `HEAD` beside each `GET`.
fn routes<F: Serves>() -> Vec<RouteKey> {
    let with_head = |key: RouteKey| [Some(key), (key.method == "GET").then(|| key.head())];
    F::ROUTES.iter().flat_map(|route| with_head(route.key)).flatten().collect()
}

async fn start<F: Serves>(environment: Environment) -> Result<Started, Error> {
    let (backend, access) = F::Backend::start(&environment).await?;
    if F::IS_OBSERVED && access.remembers() {
        environment.telemetry.start(F::NAME);
    }
    let (backend, access) = (Arc::new(backend), Arc::new(access));
    let cors = Arc::new(Cors::of(&environment.vars));
    let serving = Serving::<F> { backend, access, cors, clock: environment.clock };
    Ok(Started::Whole(Box::new(serving)))
}

/// The access control, which knows the callers of a function's routes.
type Control<F> = <<F as Serves>::Backend as Backend>::Control;

struct Serving<F: Serves> {
    backend: Arc<F::Backend>,
    access: Arc<Control<F>>,
    cors: Arc<Cors>,
    clock: fn() -> Timestamp,
}

impl<F: Serves> Invoke for Serving<F> {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let request_id = context.request_id.clone();
            let payload = match event::read(event.get())? {
                Ok(payload) => payload,
                Err(problem) => return without_request(F::NAME, &request_id, &problem),
            };
            let (backend, access, cors, clock) =
                (Arc::clone(&self.backend), Arc::clone(&self.access), Arc::clone(&self.cors), self.clock);
            let mut adapter = Adapter::from(service_fn(move |request: Request| {
                let (backend, access, cors) = (Arc::clone(&backend), Arc::clone(&access), Arc::clone(&cors));
                async move { Ok::<_, Error>(serve::<F>(&backend, &access, &cors, clock, request).await) }
            }));
            // Should `lambda_http` panic after all, the caller still gets an answer.
            let answering = async { Ok(adapter.call(LambdaEvent::new(payload, context)).await) };
            match caught(F::NAME, self.clock, answering).await {
                Ok(response) => Ok(to_raw_value(&response?)?),
                Err(problem) => without_request(F::NAME, &request_id, &problem),
            }
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

/// Logs and answers an event that no request could be made of.
fn without_request(
    function: &'static str,
    request_id: &str,
    problem: &Problem,
) -> Result<Box<RawValue>, Error> {
    problem.log_without_request(function, request_id);
    let (parts, body) = problem.answer().with("x-request-id", request_id).into_response().into_parts();
    let headers =
        parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
    let headers: BTreeMap<&str, &str> = headers.collect();
    let body = std::str::from_utf8(body.as_ref()).unwrap_or_default();
    let status = parts.status.as_u16();
    let answer = json!({ "statusCode": status, "headers": headers, "body": body, "isBase64Encoded": false });
    Ok(to_raw_value(&answer)?)
}

/// Admits, answers, and logs one line.
async fn serve<F: Serves>(
    backend: &F::Backend,
    access: &Control<F>,
    cors: &Cors,
    clock: fn() -> Timestamp,
    request: Request,
) -> Response<Body> {
    let mut incoming = Incoming::of(F::NAME, clock, &request);
    let (time_left, began) = (incoming.time_left(MARGIN), incoming.began);
    // Each request to DynamoDB has a limit of its own, but several may come together.
    let answering = caught(F::NAME, clock, answer::<F>(backend, access, &mut incoming, &request));
    let answering = tokio::time::timeout(time_left, answering);
    let (outcome, ()) = tokio::join!(answering, access.flush(began, Flush::Due));
    let (answer, methods) = match outcome.unwrap_or_else(|elapsed| Err(Problem::unavailable(elapsed))) {
        Ok((answer, methods)) => {
            incoming.answered(&answer);
            (answer, methods)
        }
        Err(problem) => {
            incoming.failed(&problem, None);
            (problem.answer(), None)
        }
    };
    let answer = cors.on(incoming.leave(access, answer), request.headers(), methods.as_ref());
    let answer = if Control::<F>::IS_BARE { answer } else { answer.packed(request.headers()) };
    let answer = if request.method() == Method::HEAD { answer.without_body() } else { answer };
    answer.into_response()
}

async fn answer<F: Serves>(
    backend: &F::Backend,
    access: &Control<F>,
    incoming: &mut Incoming,
    request: &Request,
) -> Result<(Answer, Option<Methods>), Problem> {
    let route = match find::<F>(request) {
        Found::Route(route) => route,
        Found::Options(methods) => return Ok((methods.answer(), Some(methods))),
        Found::WrongMethod(methods) => return Err(Problem::method_not_allowed(methods.list())),
        // Nobody else serves it, either.
        Found::Nothing if F::ROUTES.is_empty() => return Err(Problem::no_route()),
        Found::Nothing => {
            let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
            return Err(Problem::internal(NotServed { function: F::NAME, method, path }));
        }
    };
    let mut admitted = incoming.admit(route.access, route.max_body_bytes, access, request).await?;
    let answer = (route.answer)(admitted.call(backend, access, incoming, request)).await?;
    let is_tagged = reads(request.method()) && route.access != Access::Open;
    Ok((if is_tagged { answer.tagged(request.headers()) } else { answer }, None))
}
