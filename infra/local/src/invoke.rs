//! Calling a function as the Lambda service does: with a deadline, and so that its failure is only its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jobledger::lambda::Invoke;
use lambda_runtime::Context;
use serde_json::value::RawValue;

use crate::clock;
use crate::template::function_arn;

/// Lambda's limit for the event and for the answer of a synchronous invocation.
pub(crate) const PAYLOAD_MAX_BYTES: usize = 6 * 1024 * 1024;

/// A started function.
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

    /// Sends one event. The function runs in a task of its own: it goes on when the caller goes away, as on AWS, and a
    /// panic in it ends nothing else.
    pub(crate) async fn call(
        &self,
        event: Box<RawValue>,
        request_id: String,
    ) -> Result<Box<RawValue>, CallError> {
        let handler = Arc::clone(&self.handler);
        let timeout = self.timeout;
        let context = self.context(request_id);
        let task =
            tokio::spawn(async move { tokio::time::timeout(timeout, handler.invoke(&event, context)).await });
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

    fn context(&self, request_id: String) -> Context {
        let deadline = clock::now() + self.timeout;
        let mut context = Context::default();
        context.request_id = request_id;
        context.deadline = u64::try_from(deadline.timestamp_millis()).unwrap_or_default();
        context.invoked_function_arn = function_arn(&self.name);
        context
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}
