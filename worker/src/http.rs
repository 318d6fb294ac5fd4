//! Requests of a worker: JSON, compressed if that saves packets and the service accepts it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use jobledger_client::{Answer, Call, Client, StatusCode, Unanswered, gzip};
use serde::Serialize;

use crate::BuildError;

/// Bodies longer than this are compressed. Shorter ones would save no packet.
const COMPRESS_OVER: usize = 1_024;

/// Sends requests to one service.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    /// Whether a gateway or proxy on the way refuses compressed bodies.
    sends_plain: AtomicBool,
}

/// A body, made once: a repeated report has the same bytes, by which the service recognises it.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    json: Bytes,
    /// The compressed body, if that is worth it.
    packed: Option<Bytes>,
    /// Bytes of JSON, as the service counts them.
    pub(crate) json_bytes: usize,
}

impl Body {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // All values that are sent can be written as JSON: maps have texts as keys, and results are values already.
        let json = serde_json::to_vec(value).unwrap_or_default();
        let packed = (json.len() > COMPRESS_OVER).then(|| gzip(&json).ok()).flatten();
        Self { json_bytes: json.len(), json: json.into(), packed: packed.map(Bytes::from) }
    }
}

impl Http {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self, BuildError> {
        let client = Client::new(url, key, concat!("jobledger-worker/", env!("CARGO_PKG_VERSION")))?;
        Ok(Self { client, sends_plain: AtomicBool::new(false) })
    }

    /// Sends one request, once. If a gateway or proxy cannot read the compressed body, sends it again uncompressed.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        traceparent: Option<&str>,
        body: &Body,
        timeout: Duration,
        max_answer_bytes: usize,
    ) -> Result<Answer, Unanswered> {
        let call = |body: &Bytes, is_gzip| {
            let (body, content_type) = (body.clone(), "application/json");
            self.client.send(Call {
                method,
                path,
                content_type,
                body,
                is_gzip,
                traceparent,
                timeout,
                max_answer_bytes,
            })
        };
        let Some(packed) = body.packed.as_ref().filter(|_| !self.sends_plain.load(Ordering::Relaxed)) else {
            return call(&body.json, false).await;
        };
        let cannot_read = |answer: &Result<Answer, Unanswered>| {
            let status = answer.as_ref().map(|answer| answer.status);
            matches!(status, Ok(StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE))
        };
        let answer = call(packed, true).await;
        if !cannot_read(&answer) {
            return answer;
        }
        let answer = call(&body.json, false).await;
        if answer.is_ok() && !cannot_read(&answer) {
            tracing::info!(
                "compressed requests do not arrive as they are sent; from now on none is compressed"
            );
            self.sends_plain.store(true, Ordering::Relaxed);
        }
        answer
    }
}
