//! A streamed answer as the response of a Function URL: without a limit of size, and with no time limit but the
//! function's own. A failure after the head breaks the connection off.

use axum::body::Body;
use axum::response::Response;
use futures_util::stream::StreamExt;
use jobledger::lambda::StreamedAnswer;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use super::failed;
use super::problem::Problem;
use crate::invoke::StreamingInstance;

/// Calls the function. Its slot is free again when its body has ended.
pub(super) async fn response(
    instance: &StreamingInstance,
    event: Box<RawValue>,
    request_id: &str,
    slot: OwnedSemaphorePermit,
) -> Result<Response, Problem> {
    let answered = instance.call(event, request_id.to_owned()).await;
    let answer = answered.map_err(|error| failed(instance.name(), request_id, &error))?;
    let StreamedAnswer { status, headers, body } = answer;
    let (function, request_id) = (instance.name().to_owned(), request_id.to_owned());
    let body = body.inspect(move |chunk| {
        // The closure keeps the slot until the body has ended.
        let _slot = &slot;
        if let Err(error) = chunk {
            tracing::debug!(function, request_id, error, "a streamed answer broke off");
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
