//! How a function starts: once as a process on AWS, or many in one process on one machine.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use lambda_http::http::{HeaderMap, StatusCode};
use lambda_runtime::{Context, LambdaEvent, service_fn, spawn_graceful_shutdown_handler};
use serde_json::value::RawValue;

pub use crate::environment::{Environment, system_clock};

mod caller;
pub mod logging;
mod streaming;

pub use caller::{caller_left, for_caller, for_same_caller};

/// Any error that ends a function's start or an invocation.
pub type Error = lambda_runtime::Error;

/// The future of an asynchronous call, boxed.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A function's start, under way.
pub type Starting = BoxFuture<'static, Result<Started, Error>>;

/// The body of a streamed answer. Nobody reads on after an error: the part that was sent by then is not the whole.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// One Lambda function: its name, its routes, and how to start it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name of its binary, as `template.yaml` names it under `BuildProperties.Binary`.
    pub name: &'static str,
    /// The routes that it serves; none, where something else than the HTTP API calls it.
    pub routes: fn() -> Vec<RouteKey>,
    /// Makes the function ready for its first event.
    pub start: fn(Environment) -> Starting,
}

/// A route of the HTTP API, as `template.yaml` and API Gateway write it: `GET /v1/jobs/{job_id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path; `{name}` stands for a segment, `{name+}` for the rest of the path.
    pub path: &'static str,
}

impl RouteKey {
    /// `DELETE` of a path.
    pub const fn delete(path: &'static str) -> Self {
        Self { method: "DELETE", path }
    }

    /// `GET` of a path.
    pub const fn get(path: &'static str) -> Self {
        Self { method: "GET", path }
    }

    /// `HEAD` of the path of a route that answers `GET`.
    #[must_use]
    pub const fn head(self) -> Self {
        Self { method: "HEAD", path: self.path }
    }

    /// `PATCH` of a path.
    pub const fn patch(path: &'static str) -> Self {
        Self { method: "PATCH", path }
    }

    /// `POST` to a path.
    pub const fn post(path: &'static str) -> Self {
        Self { method: "POST", path }
    }

    /// `PUT` of a path.
    pub const fn put(path: &'static str) -> Self {
        Self { method: "PUT", path }
    }

    /// Whether a request's path, as it came, is one of this route.
    pub fn has_path(&self, path: &str) -> bool {
        let mut given = path.split('/');
        for expected in self.path.split('/') {
            if expected.ends_with("+}") {
                return given.next().is_some_and(|segment| !segment.is_empty());
            }
            let is_value = expected.starts_with('{');
            if !given
                .next()
                .is_some_and(|segment| if is_value { !segment.is_empty() } else { segment == expected })
            {
                return false;
            }
        }
        given.next().is_none()
    }
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// A started function, by how it answers. `template.yaml` says the same: `InvokeMode: RESPONSE_STREAM` or not.
pub enum Started {
    /// In one piece.
    Whole(Box<dyn Invoke>),
    /// Piece by piece.
    Streamed(Arc<dyn InvokeStreaming>),
}

impl Started {
    /// Whether something is only remembered.
    fn remembers(&self) -> bool {
        match self {
            Self::Whole(function) => function.remembers(),
            Self::Streamed(function) => function.remembers(),
        }
    }

    /// Writes down what is only remembered: the execution environment ends.
    pub async fn finish(&self) {
        match self {
            Self::Whole(function) => function.finish().await,
            Self::Streamed(function) => function.finish().await,
        }
    }
}

/// A function that answers in one piece: events in, answers out, both as the JSON text that the Lambda service sends and
/// takes.
pub trait Invoke: Send + Sync {
    /// Handles one event.
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>>;

    /// Whether something is only remembered, which [`finish`](Self::finish) writes down.
    fn remembers(&self) -> bool {
        false
    }

    /// Writes down what is only remembered: the execution environment ends.
    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A function that streams its answer: events in, as the JSON text that the Lambda service sends; an HTTP answer out,
/// whose body comes piece by piece and is read no faster than the caller takes it.
pub trait InvokeStreaming: Send + Sync {
    /// Handles one event, as far as the head of its answer.
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<StreamedAnswer, Error>>;

    /// Whether something is only remembered, which [`finish`](Self::finish) writes down.
    fn remembers(&self) -> bool {
        false
    }

    /// Writes down what is only remembered: the execution environment ends.
    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// An HTTP answer whose body is still to come.
pub struct StreamedAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Once it has begun, only its end can tell that something failed: by an error, which cuts it off.
    pub body: Chunks,
}

/// Runs a function as a process: the whole `main` of each binary.
pub fn run(function: Function) -> Result<(), Error> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let environment = Environment::of_process();
        logging::init(&environment.vars, function.name);
        let started = Arc::new((function.start)(environment).await?);
        if started.remembers() {
            let ending = Arc::clone(&started);
            // Makes the function its own extension: without one, Lambda ends it unasked.
            spawn_graceful_shutdown_handler(|| async move { ending.finish().await }).await;
        }
        match started.as_ref() {
            Started::Whole(started) => {
                lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
                    started.invoke(&event.payload, event.context).await
                }))
                .await
            }
            Started::Streamed(started) => streaming::run(Arc::clone(started)).await,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_of_a_route_if_every_segment_fits() {
        let route = RouteKey::get("/v1/analytics/cost/by-model");
        assert!(route.has_path("/v1/analytics/cost/by-model"));
        for other in
            ["", "/", "/by-model/", "/v1/analytics/cost/by-", "/v1/analytics/cost/by-team", "/by-model"]
        {
            assert!(!route.has_path(other), "{other}");
        }
        let route = RouteKey::get("/v1/jobs/{job_id}/cancel");
        assert!(route.has_path("/v1/jobs/1/cancel"));
        assert!(!route.has_path("/v1/jobs//cancel") && !route.has_path("/v1/jobs/1/cancel/2"));
        let route = RouteKey::put("/v1/records/{kind}/{id+}");
        assert!(route.has_path("/v1/records/source/a") && route.has_path("/v1/records/source/a/b"));
        assert!(!route.has_path("/v1/records/source") && !route.has_path("/v1/records/source/"));
        assert_eq!(route.to_string(), "PUT /v1/records/{kind}/{id+}");
    }
}
