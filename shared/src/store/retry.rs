//! When a request is tried again, beside what the SDK knows by itself.

use std::time::Duration;

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::interceptors::InterceptorContext;
use aws_sdk_dynamodb::config::retry::{ClassifyRetry, RetryAction, RetryConfig, RetryPartition};
use aws_sdk_dynamodb::error::SdkError;
use serde::Deserialize;

use crate::environment::Environment;

/// Tries of one request, the first included.
pub(super) const MAX_TRIES: u32 = 4;
/// Longest wait before the second try; doubles. The SDK's own is a second, which is as long as callers wait for all.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(200);

/// Makes the SDK retry errors that may pass.
pub(super) fn retrying(config: Builder) -> Builder {
    config
        .retry_config(
            RetryConfig::standard().with_max_attempts(MAX_TRIES).with_initial_backoff(FIRST_BACKOFF),
        )
        .retry_classifier(Conflict)
        // The SDK's budget of tries is for all clients of a process. On AWS that is one function; on one machine it is all
        // of them, and one that has a bad day must not use up the tries of the others.
        .retry_partition(RetryPartition::custom("function").build())
}

/// A single write that met a transaction: the SDK takes it for a mistake of the caller, but it passes.
#[derive(Debug)]
struct Conflict;

/// How DynamoDB names an error.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "__type")]
    name: String,
}

impl ClassifyRetry for Conflict {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let answer = context.response().filter(|response| response.status().as_u16() == 400);
        let body = answer.and_then(|response| response.body().bytes());
        match body.and_then(|body| serde_json::from_slice::<Named>(body).ok()) {
            Some(Named { name }) if name.ends_with("TransactionConflictException") => {
                RetryAction::transient_error()
            }
            Some(_) | None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "transaction conflict"
    }
}

/// Waits before another try: double each time, and each waiter another time.
pub async fn backoff(first: Duration, tried: u32) {
    let longest = first * 2_u32.saturating_pow(tried);
    let jitter = u128::from(Environment::chance()) % longest.as_micros().max(1);
    tokio::time::sleep(longest / 2 + Duration::from_micros(u64::try_from(jitter / 2).unwrap_or(0))).await;
}

/// Whether a request may have been done although it failed: nobody said that it was not.
pub(super) fn may_be_done<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(error) => error.raw().status().is_server_error(),
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}
