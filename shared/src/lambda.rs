//! How a function starts: once as a process on AWS, or many in one process on one machine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use lambda_http::http::{HeaderMap, StatusCode};
use lambda_runtime::{Context, LambdaEvent, service_fn, spawn_graceful_shutdown_handler};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::Timestamp;
use crate::meter::Meter;

pub mod logging;
mod streaming;

/// Any error that ends a function's start or an invocation.
pub type Error = lambda_runtime::Error;

/// What an asynchronous call answers, boxed.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A function's start, under way.
pub type Starting = BoxFuture<'static, Result<Started, Error>>;

/// The body of a streamed answer. Nobody reads on after an error: what was sent by then is not the whole.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// One Lambda function: its name, and how to start it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name of its crate and of its binary, as `template.yaml` names it under `BuildProperties.Binary`.
    pub name: &'static str,
    /// Makes the function ready for its first event.
    pub start: fn(Environment) -> Starting,
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

/// All that a function takes from the world around it: settings, the time, chance, and who counts its calls.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The function's environment variables.
    pub vars: BTreeMap<String, String>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// Counts requests to DynamoDB and their capacity units, where somebody wants to know.
    pub meter: Option<Arc<Meter>>,
    /// Carries requests to DynamoDB where it is not the network: in a simulation.
    pub transport: Option<aws_sdk_dynamodb::config::SharedHttpClient>,
}

thread_local! {
    /// What gives ids on this thread, where it is not chance.
    static IDS: Cell<Option<fn() -> Uuid>> = const { Cell::new(None) };
}

impl Environment {
    /// The process's own environment and the machine's clock.
    #[expect(clippy::disallowed_methods, reason = "the edge: here the process's environment comes in")]
    pub fn of_process() -> Self {
        Self::new(std::env::vars().collect())
    }

    /// These variables and the machine's clock.
    pub fn new(vars: BTreeMap<String, String>) -> Self {
        Self { vars, clock: system_clock, meter: None, transport: None }
    }

    /// An id that nobody had before; its first 48 bits are the time in milliseconds.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_id() -> Uuid {
        IDS.get().map_or_else(Uuid::now_v7, |ids| ids())
    }

    /// A number that is left to chance: who goes first, how long to wait. It is no secret.
    pub fn chance() -> u64 {
        Self::fresh_id().as_u64_pair().1
    }

    /// Has this give all ids of this thread, and what else is left to chance, but no secrets: so that a simulation can be
    /// repeated.
    pub fn decide_ids(ids: fn() -> Uuid) {
        IDS.set(Some(ids));
    }

    /// An id that nobody can guess: 122 bits of it are chance.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_secret_id() -> Uuid {
        Uuid::new_v4()
    }

    /// What nobody can guess: 64 hexadecimal digits, of which 244 bits are chance.
    #[expect(clippy::disallowed_methods, reason = "the edge: here chance comes in")]
    pub fn fresh_secret() -> String {
        format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
    }
}

/// The machine's clock, cut to milliseconds.
#[expect(clippy::disallowed_methods, reason = "the edge: here the time comes in")]
pub fn system_clock() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
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
