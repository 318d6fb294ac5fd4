//! A function that streams, as a process: its answers over the Lambda Runtime API.
//!
//! `lambda_runtime` hands over the events. Its own streamed answers (1.5.0) are not used: it writes the text of a failure
//! into the body and then ends it in good order, so that a file which broke off looks whole. Here a failure breaks the
//! connection off, which Lambda passes on as a truncated response. Nor is it told by trailers, which the Runtime API has for
//! it: with them, says AWS's guide, "Lambda treats this as a successful response".

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lambda_http::http::header::CONTENT_TYPE;
use lambda_http::http::{Method, Request};
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::layer::layer_fn;
use lambda_runtime::{LambdaEvent, LambdaInvocation, MetadataPrelude, Runtime, service_fn};
use lambda_runtime_api_client::body::{Body, sender::Sender};
use lambda_runtime_api_client::{Client, build_request};
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Chunks, Error, InvokeStreaming, StreamedAnswer};

/// Between the head of an answer and its body.
const DELIMITER: &[u8] = &[0; 8];
/// The content type that says that a head comes before the body.
const WITH_HEAD: &str = "application/vnd.awslambda.http-integration-response";
/// Which delivery of an event an answer belongs to, where Lambda says.
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

/// Takes events, one after the other, until the process ends.
pub(super) async fn run(function: Arc<dyn InvokeStreaming>) -> Result<(), Error> {
    let client = Arc::new(Client::builder().build()?);
    let answering = layer_fn(move |_whole| {
        let (function, client) = (Arc::clone(&function), Arc::clone(&client));
        service_fn(move |invocation: LambdaInvocation| {
            let (function, client) = (Arc::clone(&function), Arc::clone(&client));
            async move { answer(function.as_ref(), &client, invocation).await }
        })
    });
    // The service for whole answers is never called: the layer takes its place.
    let whole = service_fn(|_: LambdaEvent<IgnoredAny>| async { Ok::<(), Error>(()) });
    Runtime::new(whole).layer(answering).layer(TracingLayer::new()).run().await
}

/// Answers one event. Only what keeps the next one from being answered is an error.
async fn answer(
    function: &dyn InvokeStreaming,
    client: &Client,
    invocation: LambdaInvocation,
) -> Result<(), Error> {
    let LambdaInvocation { parts, body, context } = invocation;
    let id = context.request_id.clone();
    let invoking = async {
        let event: Box<RawValue> = serde_json::from_slice(&body)?;
        function.invoke(&event, context).await
    };
    let answered = AssertUnwindSafe(invoking).catch_unwind().await;
    let answered = answered.unwrap_or_else(|_panic| Err("the function panicked".into()));
    let sent = match answered {
        Ok(StreamedAnswer { status, headers, body }) => {
            let prelude = MetadataPrelude { status_code: status, headers, cookies: Vec::new() };
            let prelude = serde_json::to_vec(&prelude)?;
            let (sender, receiver) = Body::channel();
            let mut request = build_request().method(Method::POST).uri(path(&id, "response"));
            if let Some(delivery) = parts.headers.get(INVOCATION_ID) {
                request = request.header(INVOCATION_ID, delivery);
            }
            let request = request
                .header("lambda-runtime-function-response-mode", "streaming")
                .header(CONTENT_TYPE, WITH_HEAD)
                .body(receiver)?;
            let (sent, passed) = tokio::join!(client.call(request), pass_on(sender, prelude.into(), body));
            match passed {
                // The function has said in its log why.
                Passed::BrokenOff => return Ok(()),
                Passed::AsFarAsTaken => sent,
            }
        }
        Err(error) => client.call(failure(&id, &error)?).await,
    };
    match sent {
        Ok(taken) if taken.status().is_success() => {}
        Ok(refused) => tracing::error!(status = %refused.status(), "Lambda refused the answer"),
        Err(error) => tracing::warn!(error, "the answer was not sent to its end"),
    }
    Ok(())
}

/// How far a body was passed on.
enum Passed {
    /// To its end, or as long as somebody took it.
    AsFarAsTaken,
    /// Until it failed.
    BrokenOff,
}

/// Sends the head, then the body as fast as it is taken; breaks off where it fails.
async fn pass_on(mut sender: Sender, prelude: Bytes, body: Chunks) -> Passed {
    let mut body = AssertUnwindSafe(body).catch_unwind();
    for head in [prelude, Bytes::from_static(DELIMITER)] {
        if sender.send_data(head).await.is_err() {
            return Passed::AsFarAsTaken;
        }
    }
    while let Some(chunk) = body.next().await {
        // A panic, or a failure.
        let Ok(Ok(chunk)) = chunk else {
            sender.abort();
            return Passed::BrokenOff;
        };
        if sender.send_data(chunk).await.is_err() {
            return Passed::AsFarAsTaken;
        }
    }
    Passed::AsFarAsTaken
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_type: &'static str,
    error_message: String,
}

/// Tells Lambda that there is no answer.
fn failure(id: &str, error: &Error) -> Result<Request<Body>, Error> {
    tracing::error!(error, "the event was not answered");
    let failure = Failure { error_type: "Error", error_message: error.to_string() };
    let body = Body::from(serde_json::to_vec(&failure)?);
    Ok(build_request()
        .method(Method::POST)
        .uri(path(id, "error"))
        .header("lambda-runtime-function-error-type", "unhandled")
        .body(body)?)
}

fn path(id: &str, what: &str) -> String {
    format!("/2018-06-01/runtime/invocation/{id}/{what}")
}
