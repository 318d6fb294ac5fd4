//! The HTTP API: each request becomes the event that API Gateway sends, each answer the response that it makes of it.

mod answer;
mod body;
mod event;
mod problem;
mod routes;
mod server;
mod stream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use jobledger::lambda::for_caller;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::instances::Target;
use crate::invoke::{CallError, Instance, PAYLOAD_MAX_BYTES};
use crate::stop::Stop;
use crate::streams::Wake;
use crate::template::FUNCTION_URLS;
use body::Unread;
use event::Place;
use problem::Problem;
pub(crate) use routes::Routes;

/// If a function takes longer than this, API Gateway answers in its place.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Invocations at a time: an account's default.
const CONCURRENCY_MAX: usize = 1000;
/// How long requests in flight have to end when the stack stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// The running gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    address: SocketAddr,
    server: JoinHandle<()>,
    stop: Stop,
}

#[derive(Debug)]
struct Shared {
    routes: Routes<Instance>,
    urls: BTreeMap<String, Target>,
    address: SocketAddr,
    slots: Arc<Semaphore>,
    wake: Wake,
}

impl Gateway {
    /// Serves these routes and Function URLs (by the name of their function's crate).
    pub(crate) fn start(
        (listener, address): (TcpListener, SocketAddr),
        routes: Routes<Instance>,
        urls: BTreeMap<String, Target>,
        wake: Wake,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(CONCURRENCY_MAX));
        let shared = Arc::new(Shared { routes, urls, address, slots, wake });
        let (stop, stopped) = Stop::new();
        let serving = server::serve(listener, stopped, move |peer, request| {
            let shared = Arc::clone(&shared);
            async move { handle(&shared, peer, request).await }
        });
        Self { address, server: tokio::spawn(serving), stop }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more requests, and lets those in flight end.
    pub(crate) async fn stop(mut self) {
        self.stop.stop();
        match tokio::time::timeout(DRAIN_MAX, &mut self.server).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the gateway ended badly"),
            Err(_elapsed) => {
                tracing::warn!("requests were still under way {DRAIN_MAX:?} after the stop, and were left");
                self.server.abort();
            }
        }
    }
}

/// Handles every request.
async fn handle(shared: &Shared, peer: SocketAddr, request: Request) -> Response {
    let request_id = jobledger::Environment::fresh_id().to_string();
    match answer(shared, peer, request, &request_id).await {
        Ok(response) => response,
        Err(problem) => problem.response(&request_id),
    }
}

async fn answer(
    shared: &Shared,
    peer: SocketAddr,
    request: Request,
    request_id: &str,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let writes = !matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let found = find(shared, &head.method, head.uri.path());
    let Some((target, place)) = found else {
        body::discard(body).await;
        return Err(Problem::NoRoute);
    };
    let bytes = match body::read(body, PAYLOAD_MAX_BYTES).await {
        Ok(bytes) => bytes,
        Err(Unread::TooLarge) => return Err(Problem::TooLarge),
        Err(Unread::Broken) => return Err(Problem::BrokenBody),
    };
    let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
        return Err(Problem::Busy);
    };
    let event = event::write(&head, &bytes, &place, peer, shared.address, request_id).map_err(|error| {
        tracing::error!(%error, "an event could not be written");
        Problem::FunctionFailed
    })?;
    if event.get().len() > PAYLOAD_MAX_BYTES {
        return Err(Problem::TooLarge);
    }
    let response = match target {
        Target::Whole(instance) => whole(&instance, event, request_id, slot).await,
        Target::Streaming(instance) => stream::response(&instance, event, request_id, slot).await,
    };
    if writes {
        shared.wake.ring();
    }
    response
}

/// The response of a function that answers in one piece.
async fn whole(
    instance: &Instance,
    event: Box<serde_json::value::RawValue>,
    request_id: &str,
    slot: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let answered = call(instance, event, request_id.to_owned(), slot).await;
    let answer = answered.map_err(|error| failed(instance.name(), request_id, &error))?;
    answer::response(&answer).map_err(|error| {
        tracing::error!(function = instance.name(), request_id, %error, "an answer is no HTTP response");
        Problem::FunctionFailed
    })
}

/// Logs why there is no answer; returns the problem for the caller.
fn failed(function: &str, request_id: &str, error: &CallError) -> Problem {
    let problem = match error {
        CallError::CallerLeft(_) => Problem::TooSlow,
        CallError::Failed(_)
        | CallError::Panicked(_)
        | CallError::TimedOut(_)
        | CallError::AnswerTooLarge(_) => Problem::FunctionFailed,
    };
    let error: &dyn std::error::Error = error;
    tracing::error!(function, request_id, error, "a request failed");
    problem
}

/// The function for a request, and what its event says about the route.
fn find<'a>(shared: &'a Shared, method: &Method, path: &'a str) -> Option<(Target, Place<'a>)> {
    if let Some(rest) = path.strip_prefix(FUNCTION_URLS) {
        let end = rest.find('/').unwrap_or(rest.len());
        let (name, path) = rest.split_at(end);
        let target = shared.urls.get(name)?.clone();
        let path = if path.is_empty() { "/" } else { path };
        return Some((target, Place { path, route_key: "$default", parameters: BTreeMap::new() }));
    }
    let found = shared.routes.find(method.as_str(), path)?;
    let place = Place { path, route_key: found.key, parameters: found.parameters };
    Some((Target::Whole(found.target.clone()), place))
}

/// Waits no longer than API Gateway. The function goes on, and keeps its slot until it ends.
async fn call(
    instance: &Instance,
    event: Box<serde_json::value::RawValue>,
    request_id: String,
    slot: OwnedSemaphorePermit,
) -> Result<Box<serde_json::value::RawValue>, CallError> {
    let called = instance.clone();
    // If the caller goes away, this future is dropped, and the function can know.
    let (_here, asking) = watch::channel(());
    let call = tokio::spawn(async move {
        let answer = for_caller(asking, called.call(event, request_id)).await;
        drop(slot);
        answer
    });
    match tokio::time::timeout(ANSWER_MAX, call).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(join)) => Err(CallError::Panicked(join)),
        Err(_elapsed) => Err(CallError::CallerLeft(ANSWER_MAX)),
    }
}

#[cfg(test)]
mod tests;
