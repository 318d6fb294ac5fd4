//! Calling a function as the Lambda service does: with a deadline, and so that its failure is only its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jobledger::lambda::{Chunks, Invoke, InvokeStreaming, StreamedAnswer, for_same_caller};
use lambda_runtime::Context;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::clock;
use crate::template::function_arn;

/// Lambda's limit for the event and for the answer of a synchronous invocation.
pub(crate) const PAYLOAD_MAX_BYTES: usize = 6 * 1024 * 1024;

/// A started function that answers in one piece.
#[derive(Clone)]
pub(crate) struct Instance {
    name: Arc<str>,
    timeout: Duration,
    handler: Arc<dyn Invoke>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The function answered with an error.
    #[error("the function failed")]
    Failed(#[source] jobledger::Error),
    /// The function panicked.
    #[error("the function panicked")]
    Panicked(#[source] tokio::task::JoinError),
    /// The function did not answer within its `Timeout`.
    #[error("the function timed out after {0:?}")]
    TimedOut(Duration),
    /// The caller waits no longer than this.
    #[error("the function did not answer within {0:?}")]
    CallerLeft(Duration),
    /// The answer is over Lambda's limit.
    #[error("the function's answer has {0} bytes, and Lambda lets {PAYLOAD_MAX_BYTES} through")]
    AnswerTooLarge(usize),
}

impl Instance {
    pub(crate) fn new(name: &str, timeout: Duration, handler: Box<dyn Invoke>) -> Self {
        Self { name: name.into(), timeout, handler: Arc::from(handler) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends the function's environment, as Lambda does with an idle one.
    pub(crate) async fn finish(&self) {
        self.handler.finish().await;
    }

    /// Sends one event. The function runs in its own task: if the caller goes away, it goes on, as on AWS. A panic in
    /// it ends nothing else.
    pub(crate) async fn call(
        &self,
        event: Box<RawValue>,
        request_id: String,
    ) -> Result<Box<RawValue>, CallError> {
        let handler = Arc::clone(&self.handler);
        let timeout = self.timeout;
        let context = context(&self.name, timeout, request_id);
        let call = async move { tokio::time::timeout(timeout, handler.invoke(&event, context)).await };
        let task = tokio::spawn(for_same_caller(call));
        match task.await {
            Ok(Ok(Ok(answer))) if answer.get().len() > PAYLOAD_MAX_BYTES => {
                Err(CallError::AnswerTooLarge(answer.get().len()))
            }
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(CallError::Failed(error)),
            Ok(Err(_elapsed)) => Err(CallError::TimedOut(timeout)),
            Err(join) => Err(CallError::Panicked(join)),
        }
    }
}

/// A started function that streams its answer.
#[derive(Clone)]
pub(crate) struct StreamingInstance {
    name: Arc<str>,
    timeout: Duration,
    handler: Arc<dyn InvokeStreaming>,
}

impl StreamingInstance {
    pub(crate) fn new(name: &str, timeout: Duration, handler: Arc<dyn InvokeStreaming>) -> Self {
        Self { name: name.into(), timeout, handler }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends the function's environment, as Lambda does with an idle one.
    pub(crate) async fn finish(&self) {
        self.handler.finish().await;
    }

    /// Sends one event. The body is produced no faster than it is read, and ends with the function's time. If its
    /// reader leaves, it ends, too; on Lambda it would go on without a reader.
    pub(crate) async fn call(
        &self,
        event: Box<RawValue>,
        request_id: String,
    ) -> Result<StreamedAnswer, CallError> {
        let handler = Arc::clone(&self.handler);
        let timeout = self.timeout;
        let deadline = Instant::now() + timeout;
        let context = context(&self.name, timeout, request_id);
        let task =
            tokio::spawn(
                async move { tokio::time::timeout_at(deadline, handler.invoke(&event, context)).await },
            );
        match task.await {
            Ok(Ok(Ok(answer))) => {
                Ok(StreamedAnswer { body: until(deadline, timeout, answer.body), ..answer })
            }
            Ok(Ok(Err(error))) => Err(CallError::Failed(error)),
            Ok(Err(_elapsed)) => Err(CallError::TimedOut(timeout)),
            Err(join) => Err(CallError::Panicked(join)),
        }
    }
}

/// The body, broken off at the deadline.
fn until(deadline: Instant, timeout: Duration, body: Chunks) -> Chunks {
    Box::pin(stream::unfold(Some(body), move |body| async move {
        let mut body = body?;
        match tokio::time::timeout_at(deadline, body.next()).await {
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(body))),
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(None) => None,
            Err(_elapsed) => Some((Err(CallError::TimedOut(timeout).into()), None)),
        }
    }))
}

/// The context of a call, as Lambda makes it.
fn context(name: &str, timeout: Duration, request_id: String) -> Context {
    let deadline = clock::now() + timeout;
    let mut context = Context::default();
    context.request_id = request_id;
    context.deadline = u64::try_from(deadline.timestamp_millis()).unwrap_or_default();
    context.invoked_function_arn = function_arn(name);
    context
}

impl fmt::Debug for StreamingInstance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamingInstance").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}
