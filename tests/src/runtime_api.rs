//! Lambda's Runtime API, as far as a function needs it. It sends one event at a time; answers are whole or streamed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::routing::{get, post};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::PATIENCE;

/// Later than the end of any test, in milliseconds since 1970.
const DEADLINE_MS: &str = "4102444800000";

/// A function's binary, running as in Lambda.
#[derive(Debug)]
pub struct RunningFunction {
    process: Child,
    log: JoinHandle<String>,
    events: mpsc::Sender<String>,
    answers: mpsc::Receiver<Taken>,
}

/// The result of an event.
#[derive(Debug)]
enum Taken {
    Whole(Result<Value, String>),
    Streamed(StreamedReply),
}

/// A streamed answer: a head, then chunks.
#[derive(Debug)]
pub struct StreamedReply {
    /// The status and the headers, as JSON.
    pub head: Value,
    /// The chunks of the body after the head.
    pub chunks: Vec<Vec<u8>>,
    /// How the body ended.
    pub end: End,
}

/// How the body of a streamed answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Complete.
    Whole,
    /// Broken off in the middle.
    BrokenOff,
}

/// Between the head and the body.
const DELIMITER: [u8; 8] = [0; 8];

#[derive(Clone, Debug)]
struct Api {
    events: Arc<Mutex<mpsc::Receiver<String>>>,
    answers: mpsc::Sender<Taken>,
}

impl RunningFunction {
    /// Starts a binary with these variables and those that Lambda sets.
    pub async fn start(binary: &Path, name: &str, variables: &BTreeMap<String, String>) -> Self {
        let (events, to_send) = mpsc::channel(1);
        let (taken, answers) = mpsc::channel(1);
        let api = Api { events: Arc::new(Mutex::new(to_send)), answers: taken };
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(error))
            .route("/2020-01-01/extension/register", post(register))
            .route("/2020-01-01/extension/event/next", get(std::future::pending::<()>))
            .with_state(api);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut process = Command::new(binary)
            .env_clear()
            .envs(variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "test")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut output = process.stdout.take().expect("its output");
        let log = tokio::spawn(async move {
            let mut log = Vec::new();
            output.read_to_end(&mut log).await.expect("it can be read");
            String::from_utf8(log).expect("text")
        });
        Self { process, log, events, answers }
    }

    /// Sends the function an event; returns its answer, or the error that it reports.
    pub async fn invoke(&mut self, event: &Value) -> Result<Value, String> {
        match self.taken(event).await {
            Taken::Whole(answer) => answer,
            Taken::Streamed(reply) => panic!("the answer is streamed: {reply:?}"),
        }
    }

    /// The same for a function that streams its answer; returns the answer, read to its end.
    pub async fn stream(&mut self, event: &Value) -> Result<StreamedReply, String> {
        match self.taken(event).await {
            Taken::Streamed(reply) => Ok(reply),
            Taken::Whole(Err(error)) => Err(error),
            Taken::Whole(Ok(answer)) => panic!("the answer is not streamed: {answer}"),
        }
    }

    async fn taken(&mut self, event: &Value) -> Taken {
        self.events.send(event.to_string()).await.expect("the Runtime API runs");
        let answer = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        answer.expect("the function answers in time").expect("the Runtime API runs")
    }

    /// Ends the process as Lambda ends an environment, and waits for its end; returns all its log lines.
    pub async fn terminate(mut self) -> String {
        let id = self.process.id().expect("the process runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("the signal is sent");
        assert!(sent.success());
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = ended.expect("the process ends").expect("it can be waited for");
        assert!(status.success(), "{status}");
        self.log.await.expect("it was read")
    }

    /// Whether the process is still running.
    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("the process can be asked").is_none()
    }
}

/// An extension without events. If there is none, Lambda ends a function without a signal.
async fn register() -> ([(&'static str, &'static str); 1], &'static str) {
    let known = r#"{"functionName":"test","functionVersion":"$LATEST","handler":"bootstrap"}"#;
    ([("lambda-extension-identifier", "a-test")], known)
}

/// Waits until there is an event, as Lambda does.
async fn next(State(api): State<Api>) -> (HeaderMap, String) {
    let event = api.events.lock().await.recv().await;
    // There are no more events. The process waits like an idle environment, and is about to be ended.
    let Some(event) = event else { return std::future::pending().await };
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
        ("lambda-runtime-deadline-ms", DEADLINE_MS),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:test"),
        ("content-type", "application/json"),
    ] {
        headers.insert(name, value.parse().expect("a header value"));
    }
    (headers, event)
}

async fn response(
    State(api): State<Api>,
    UrlPath(_): UrlPath<String>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let mode = headers.get("lambda-runtime-function-response-mode").map(HeaderValue::as_bytes);
    let (chunks, end) = read(body).await;
    let taken = if mode == Some(b"streaming") {
        assert_eq!(headers["content-type"], "application/vnd.awslambda.http-integration-response");
        Taken::Streamed(streamed(&chunks, end))
    } else {
        let body = chunks.concat();
        let text = String::from_utf8_lossy(&body);
        Taken::Whole(serde_json::from_str(&text).map_err(|error| format!("no JSON: {error}: {text}")))
    };
    api.answers.send(taken).await.expect("somebody waits");
    StatusCode::ACCEPTED
}

async fn read(body: Body) -> (Vec<Vec<u8>>, End) {
    let (mut body, mut chunks) = (body.into_data_stream(), Vec::new());
    loop {
        match body.next().await {
            Some(Ok(chunk)) => chunks.push(chunk.to_vec()),
            Some(Err(_)) => return (chunks, End::BrokenOff),
            None => return (chunks, End::Whole),
        }
    }
}

fn streamed(chunks: &[Vec<u8>], end: End) -> StreamedReply {
    let all = chunks.concat();
    let at = all.windows(DELIMITER.len()).position(|window| window == DELIMITER).expect("a head");
    let head = serde_json::from_slice(&all[..at]).expect("the head is JSON");
    // A chunk may contain the end of the head and the beginning of the body.
    let mut before = at + DELIMITER.len();
    let mut body = Vec::new();
    for chunk in chunks {
        let skipped = before.min(chunk.len());
        before -= skipped;
        if skipped < chunk.len() {
            body.push(chunk[skipped..].to_vec());
        }
    }
    StreamedReply { head, chunks: body, end }
}

async fn error(State(api): State<Api>, body: String) -> StatusCode {
    api.answers.send(Taken::Whole(Err(body))).await.expect("somebody waits");
    StatusCode::ACCEPTED
}
