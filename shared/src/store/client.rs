//! The one place that sends: every request to DynamoDB goes through here, with bounded retries.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{self, BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemInputBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::{BatchWriteItemInput, BatchWriteItemOutput};
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemInputBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemInputBuilder;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemInputBuilder;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryInputBuilder;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::transact_write_items::builders::TransactWriteItemsInputBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{ConsumedCapacity, PutRequest, ReturnConsumedCapacity, WriteRequest};
use aws_smithy_http_client::{Builder, tls};
use tokio::time::Instant;

use super::config::Endpoint;
use super::retry::{FIRST_BACKOFF, MAX_TRIES, backoff, may_be_done, retrying};
use super::{AttributeMap, StoreError};
use crate::meter::Meter;
use crate::telemetry::Telemetry;

/// Tries of a transaction that another one keeps from its items, or of a batch of which a part was left over.
const MAX_CONFLICT_TRIES: u32 = 8;
/// Most items of one batch.
const MAX_BATCH: usize = 25;
/// Wait before the second of those tries; doubles.
const CONFLICT_BACKOFF: Duration = Duration::from_millis(10);
/// Longest wait for one answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for all tries of one request.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(6);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The outcome of a conditional write.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// It was done; the attributes that the request asked to get back.
    Done(Option<AttributeMap>),
    /// Its condition did not hold; the item that is there, if any, where the request asked for it.
    Refused(Option<AttributeMap>),
}

/// The outcome of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Transacted {
    /// All of it was done.
    Done,
    /// Nothing was: for each item in turn whether its condition did not hold, and the item that is there, if any, where
    /// the request asked for it.
    Refused(Vec<Option<Option<AttributeMap>>>),
}

/// A connection to DynamoDB.
#[derive(Clone, Debug)]
pub struct Store {
    client: Client,
    /// The same without the SDK's retries, for operations that have to know of each try.
    once: Client,
    meter: Option<Arc<Meter>>,
    telemetry: Option<Arc<Telemetry>>,
}

impl Store {
    /// Connects to Amazon's DynamoDB, or to another one, over the network or by another way.
    pub async fn connect(
        endpoint: Option<&Endpoint>,
        meter: Option<Arc<Meter>>,
        transport: Option<SharedHttpClient>,
    ) -> Self {
        let config = match endpoint {
            None => {
                let https = Builder::new()
                    .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
                    .build_https();
                config::Builder::from(
                    &aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await,
                )
            }
            Some(endpoint) => {
                let (id, secret) = (&endpoint.access_key_id, &endpoint.secret_access_key);
                config::Builder::new()
                    .behavior_version(BehaviorVersion::latest())
                    .http_client(transport.unwrap_or_else(|| Builder::new().build_http()))
                    .endpoint_url(&endpoint.url)
                    .region(Region::new(endpoint.region.clone()))
                    .credentials_provider(Credentials::new(id, secret, None, None, "environment"))
            }
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let config = retrying(config.timeout_config(timeouts)).build();
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), once: Client::from_conf(once), meter, telemetry: None }
    }

    /// The same connection, whose requests are numbers for operators, too.
    #[must_use]
    pub fn observed(self, telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry: Some(telemetry), ..self }
    }

    /// The same connection, whose requests are not counted.
    #[must_use]
    pub fn unmetered(&self) -> Self {
        Self { meter: None, telemetry: None, ..self.clone() }
    }

    /// Reads one item.
    pub async fn get(&self, plan: GetItemInputBuilder) -> Result<Option<AttributeMap>, StoreError> {
        let sent = Box::pin(plan.set_return_consumed_capacity(self.report()).send_with(&self.client));
        let output =
            self.metered("GetItem", sent, |output| (units(output.consumed_capacity.as_ref()), 0.0)).await;
        Ok(output.map_err(sorted)?.item)
    }

    /// Reads one page of a range.
    pub async fn query(&self, plan: QueryInputBuilder) -> Result<QueryOutput, StoreError> {
        let sent = Box::pin(plan.set_return_consumed_capacity(self.report()).send_with(&self.client));
        let output =
            self.metered("Query", sent, |output| (units(output.consumed_capacity.as_ref()), 0.0)).await;
        output.map_err(sorted)
    }

    /// Reads up to 100 items, asking again for those that the store left over.
    pub async fn batch_get(
        &self,
        plan: BatchGetItemInputBuilder,
    ) -> Result<HashMap<String, Vec<AttributeMap>>, StoreError> {
        let mut found: HashMap<String, Vec<AttributeMap>> = HashMap::new();
        let mut plan = plan;
        for tried in 0..MAX_CONFLICT_TRIES {
            let sent =
                Box::pin(plan.clone().set_return_consumed_capacity(self.report()).send_with(&self.client));
            let output = self
                .metered("BatchGetItem", sent, |output| {
                    (units(output.consumed_capacity.iter().flatten()), 0.0)
                })
                .await;
            let output = output.map_err(sorted)?;
            for (table, items) in output.responses.unwrap_or_default() {
                found.entry(table).or_default().extend(items);
            }
            let left = output.unprocessed_keys.unwrap_or_default();
            if left.is_empty() {
                return Ok(found);
            }
            plan = plan.set_request_items(Some(left));
            backoff(CONFLICT_BACKOFF, tried).await;
        }
        Err(StoreError::Unavailable("keys were left unprocessed at every try".into()))
    }

    /// Writes one item.
    pub async fn put(&self, plan: PutItemInputBuilder) -> Result<Written, StoreError> {
        let sent = Box::pin(plan.set_return_consumed_capacity(self.report()).send_with(&self.client));
        match self.metered("PutItem", sent, |output| (0.0, units(output.consumed_capacity.as_ref()))).await {
            Ok(output) => Ok(Written::Done(output.attributes)),
            Err(SdkError::ServiceError(error)) => match error.into_err() {
                PutItemError::ConditionalCheckFailedException(failed) => Ok(self.refused(failed.item)),
                error => Err(sorted_service(error)),
            },
            Err(error) => Err(sorted(error)),
        }
    }

    /// Writes items to a table without conditions, 25 a request, sending again what the store left over.
    pub async fn batch_put(&self, table: &str, items: Vec<AttributeMap>) -> Result<(), StoreError> {
        let refused = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Refused(error.into());
        for chunk in items.chunks(MAX_BATCH) {
            let puts = chunk.iter().map(|item| PutRequest::builder().set_item(Some(item.clone())).build());
            let puts: Vec<WriteRequest> = puts
                .map(|put| put.map(|put| WriteRequest::builder().put_request(put).build()))
                .collect::<Result<_, _>>()
                .map_err(refused)?;
            self.write_all(BatchWriteItemInput::builder().request_items(table, puts)).await?;
        }
        Ok(())
    }

    async fn write_all(&self, mut plan: BatchWriteItemInputBuilder) -> Result<(), StoreError> {
        for tried in 0..MAX_CONFLICT_TRIES {
            let sent =
                Box::pin(plan.clone().set_return_consumed_capacity(self.report()).send_with(&self.client));
            let cost =
                |output: &BatchWriteItemOutput| (0.0, units(output.consumed_capacity.iter().flatten()));
            let left = self
                .metered("BatchWriteItem", sent, cost)
                .await
                .map_err(sorted)?
                .unprocessed_items
                .unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            plan = plan.set_request_items(Some(left));
            backoff(CONFLICT_BACKOFF, tried).await;
        }
        Err(StoreError::Unavailable("items were left unprocessed at every try".into()))
    }

    /// Changes one item.
    pub async fn update(&self, plan: UpdateItemInputBuilder) -> Result<Written, StoreError> {
        let sent = Box::pin(plan.set_return_consumed_capacity(self.report()).send_with(&self.client));
        match self.metered("UpdateItem", sent, |output| (0.0, units(output.consumed_capacity.as_ref()))).await
        {
            Ok(output) => Ok(Written::Done(output.attributes)),
            Err(SdkError::ServiceError(error)) => match error.into_err() {
                UpdateItemError::ConditionalCheckFailedException(failed) => Ok(self.refused(failed.item)),
                error => Err(sorted_service(error)),
            },
            Err(error) => Err(sorted(error)),
        }
    }

    /// Removes one item.
    pub async fn delete(&self, plan: DeleteItemInputBuilder) -> Result<Written, StoreError> {
        let deleted = tokio::time::timeout(OPERATION_TIMEOUT, self.try_to_delete(plan)).await;
        deleted.unwrap_or_else(|elapsed| Err(StoreError::Unavailable(elapsed.into())))
    }

    /// A try whose answer was lost may have been done: then the next one finds nothing, as was wanted. So the tries are
    /// made here, where that is known, and not by the SDK.
    async fn try_to_delete(&self, plan: DeleteItemInputBuilder) -> Result<Written, StoreError> {
        let mut is_done_perhaps = false;
        let mut tried = 0;
        loop {
            let sent =
                Box::pin(plan.clone().set_return_consumed_capacity(self.report()).send_with(&self.once));
            let error = match self
                .metered("DeleteItem", sent, |output| (0.0, units(output.consumed_capacity.as_ref())))
                .await
            {
                Ok(output) => return Ok(Written::Done(output.attributes)),
                Err(error) => error,
            };
            is_done_perhaps |= may_be_done(&error);
            let error = match error {
                SdkError::ServiceError(error) => match error.into_err() {
                    DeleteItemError::ConditionalCheckFailedException(failed) => {
                        let is_gone = is_done_perhaps && failed.item.is_none();
                        return Ok(if is_gone { Written::Done(None) } else { Written::Refused(failed.item) });
                    }
                    error => sorted_service(error),
                },
                error => sorted(error),
            };
            tried += 1;
            if tried == MAX_TRIES || !matches!(error, StoreError::Unavailable(_)) {
                return Err(error);
            }
            backoff(FIRST_BACKOFF, tried - 1).await;
        }
    }

    /// Does all or nothing; tries again, boundedly, where another transaction holds an item.
    pub async fn transact(&self, plan: TransactWriteItemsInputBuilder) -> Result<Written, StoreError> {
        Ok(match self.transact_each(plan).await? {
            Transacted::Done => Written::Done(None),
            Transacted::Refused(_) => Written::Refused(None),
        })
    }

    /// The same, and says of each item whether it was what all was refused for.
    pub async fn transact_each(
        &self,
        plan: TransactWriteItemsInputBuilder,
    ) -> Result<Transacted, StoreError> {
        for tried in 0..MAX_CONFLICT_TRIES {
            let sent =
                Box::pin(plan.clone().set_return_consumed_capacity(self.report()).send_with(&self.client));
            let failed = match self
                .metered("TransactWriteItems", sent, |output| {
                    (0.0, units(output.consumed_capacity.iter().flatten()))
                })
                .await
            {
                Ok(_) => return Ok(Transacted::Done),
                Err(SdkError::ServiceError(error)) => error.into_err(),
                Err(error) => return Err(sorted(error)),
            };
            let TransactWriteItemsError::TransactionCanceledException(cancelled) = &failed else {
                return Err(sorted_service(failed));
            };
            let reasons = cancelled.cancellation_reasons();
            let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
            if is("ConditionalCheckFailed") {
                let refused = reasons.iter().map(|reason| {
                    let is_refused = reason.code() == Some("ConditionalCheckFailed");
                    is_refused.then(|| reason.item().cloned())
                });
                let refused = refused.collect();
                self.count_refusal();
                return Ok(Transacted::Refused(refused));
            }
            if !(is("TransactionConflict") || is("ThrottlingError") || is("ProvisionedThroughputExceeded")) {
                return Err(StoreError::Refused(failed.into()));
            }
            backoff(CONFLICT_BACKOFF, tried).await;
        }
        Err(StoreError::Unavailable("another transaction held the items at every try".into()))
    }

    fn report(&self) -> Option<ReturnConsumedCapacity> {
        self.meter.as_ref().map(|_| ReturnConsumedCapacity::Indexes)
    }

    fn refused(&self, item: Option<AttributeMap>) -> Written {
        self.count_refusal();
        Written::Refused(item)
    }

    fn count_refusal(&self) {
        if let Some(meter) = &self.meter {
            meter.refused();
        }
    }

    async fn metered<T, E>(
        &self,
        operation: &'static str,
        sent: impl Future<Output = Result<T, E>>,
        cost: impl Fn(&T) -> (f64, f64),
    ) -> Result<T, E> {
        let sent = async {
            let began = Instant::now();
            let output = sent.await;
            if let Some(telemetry) = &self.telemetry {
                telemetry.sent(operation, began.elapsed());
            }
            output
        };
        let Some(meter) = &self.meter else { return sent.await };
        meter.begin();
        let output = sent.await;
        let (read, write) = output.as_ref().map(cost).unwrap_or_default();
        meter.end(read, write);
        output
    }
}

fn units<'a>(capacities: impl IntoIterator<Item = &'a ConsumedCapacity>) -> f64 {
    capacities.into_iter().filter_map(ConsumedCapacity::capacity_units).sum()
}

/// Sorts an error by what the caller can do about it.
fn sorted<E>(error: SdkError<E>) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(error) => sorted_service(error.into_err()),
        SdkError::ConstructionFailure(_) => StoreError::Refused(error.into()),
        error => StoreError::Unavailable(error.into()),
    }
}

fn sorted_service<E>(error: E) -> StoreError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    // Errors that retries did not cure, though they may pass yet: load and faults of the store itself.
    const PASSING: [&str; 8] = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionConflictException",
        "TransactionInProgressException",
    ];
    match error.code() {
        Some(code) if !PASSING.contains(&code) => StoreError::Refused(error.into()),
        // No code at all: an answer that is not DynamoDB's, say of a gateway in between.
        Some(_) | None => StoreError::Unavailable(error.into()),
    }
}
