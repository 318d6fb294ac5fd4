//! Answers that come piece by piece, through a Function URL.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use jobledger::lambda::{BoxFuture, Chunks, InvokeStreaming, Started, StreamedAnswer};
use jobledger::{Environment, Error, Function};
use jobledger_local::{Options, Stack};
use lambda_http::http::{HeaderMap, HeaderValue, StatusCode};
use lambda_runtime::Context;
use reqwest::{Client, Response};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::{LONG, SAMPLE, functions, start};

/// Pieces: together more than Lambda allows for an answer in one piece.
const FLOOD: usize = 8;
const PIECE_BYTES: usize = 1024 * 1024;

/// A permit for the next piece: `go` adds one, and `wait` takes one.
static GO: Semaphore = Semaphore::const_new(0);

pub(crate) const DRIP: Function = Function {
    name: "drip",
    routes: Vec::new,
    start: |environment| Box::pin(async move { Ok(Started::Streamed(Arc::new(Drip { environment }))) }),
};

struct Drip {
    environment: Environment,
}

impl Drip {
    fn answer(&self, event: &RawValue) -> Result<StreamedAnswer, Error> {
        let event: Value = serde_json::from_str(event.get())?;
        let first = || stream::iter([Ok(Bytes::from_static(b"first"))]);
        let body: Chunks = match event["rawPath"].as_str().unwrap_or_default() {
            "/refuse" => return Err("a secret".into()),
            "/url" => Box::pin(stream::iter([Ok(Bytes::from(self.environment.vars["FRONT_URL"].clone()))])),
            "/flood" => Box::pin(stream::iter(0..FLOOD).map(|_| Ok(Bytes::from(vec![b'x'; PIECE_BYTES])))),
            "/fail" => Box::pin(first().chain(stream::iter([Err("a secret".into())]))),
            "/panic" => Box::pin(first().chain(stream::poll_fn(|_| panic!("a secret")))),
            "/hang" => Box::pin(first().chain(stream::pending())),
            "/go" => {
                GO.add_permits(1);
                Box::pin(first())
            }
            "/wait" => Box::pin(first().chain(stream::once(async {
                GO.acquire().await?.forget();
                Ok(Bytes::from_static(b"second"))
            }))),
            other => return Err(format!("no such path: {other}").into()),
        };
        let headers = HeaderMap::from_iter([(
            lambda_http::http::header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        )]);
        Ok(StreamedAnswer { status: StatusCode::ACCEPTED, headers, body })
    }
}

impl InvokeStreaming for Drip {
    fn invoke<'a>(&'a self, event: &'a RawValue, _: Context) -> BoxFuture<'a, Result<StreamedAnswer, Error>> {
        Box::pin(async move { self.answer(event) })
    }
}

async fn open(stack: &Stack, what: &str) -> Response {
    let url = format!("{}/lambda-url/drip/{what}", stack.url().unwrap());
    Client::new().get(url).send().await.unwrap()
}

#[tokio::test]
async fn a_piece_arrives_before_the_next_is_made() {
    let stack = start().await;
    let mut answer = open(&stack, "wait").await;
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let first = tokio::time::timeout(LONG, answer.chunk()).await.unwrap();
    assert_eq!(first.unwrap().unwrap(), "first");
    assert_eq!(open(&stack, "go").await.text().await.unwrap(), "first");
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "second");
    assert_eq!(answer.chunk().await.unwrap(), None);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_streamed_answer_has_no_limit_of_size() {
    let stack = start().await;
    assert_eq!(open(&stack, "flood").await.bytes().await.unwrap().len(), FLOOD * PIECE_BYTES);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_stream_closes_the_connection() {
    let stack = start().await;
    // The function's own timeout ends the last one.
    for what in ["fail", "panic", "hang"] {
        let url = format!("{}/lambda-url/drip/{what}", stack.url().unwrap());
        // The head may arrive or not, depending on its timing. Either way, the answer must not look complete.
        let whole = match Client::new().get(url).send().await {
            Ok(answer) => answer.bytes().await,
            Err(broken) => Err(broken),
        };
        assert!(whole.is_err(), "{what}: the answer looks whole");
    }
    assert_eq!(open(&stack, "refuse").await.status(), 500);
    assert_eq!(open(&stack, "go").await.status(), 202);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_function_url_is_known_to_other_functions() {
    let stack = start().await;
    let url = open(&stack, "url").await.text().await.unwrap();
    assert_eq!(url, format!("{}/lambda-url/front/", stack.url().unwrap()));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn template_and_code_must_agree_on_streaming_functions() {
    for (template, problem) in [
        (SAMPLE.replace(", InvokeMode: RESPONSE_STREAM", ""), "`drip` streams its answer"),
        (
            SAMPLE.replace("{ AuthType: NONE }", "{ AuthType: NONE, InvokeMode: RESPONSE_STREAM }"),
            "only a Function URL streams",
        ),
    ] {
        let options = Options { template, ..Options::default() };
        let error = Stack::start(options, functions::all()).await.unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}
