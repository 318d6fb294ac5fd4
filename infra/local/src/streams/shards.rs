//! Reading the shards of a stream: parents before their children, and each from its position on.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use tokio::time::Instant;

use super::positions::{Position, Positions};
use crate::error::BoxError;

/// Records that one read asks for: DynamoDB's limit.
const READ_MAX: i32 = 1000;
/// How long a list of shards is used, unless one of them ends.
const LIST_AGE_MAX: Duration = Duration::from_secs(30);
/// Pages of shards that one stream may have here.
const LIST_PAGES_MAX: usize = 100;

/// The shards of one stream.
pub(super) struct Shards {
    client: Client,
    arn: String,
    list: Vec<Shard>,
    listed: Option<Instant>,
}

struct Shard {
    id: String,
    parent: Option<String>,
    cursor: Cursor,
}

enum Cursor {
    /// An iterator must be requested for the position.
    Unknown,
    /// The position is gone. Reading goes on from the oldest record.
    Lost,
    /// The iterator of the next read.
    At(String),
}

/// The result of a read.
pub(super) struct Page {
    /// In order.
    pub(super) records: Vec<Record>,
    /// Whether the shard has ended, and these were its last.
    pub(super) ended: bool,
}

impl Shards {
    pub(super) fn new(client: Client, arn: String) -> Self {
        Self { client, arn, list: Vec::new(), listed: None }
    }

    /// Lists the shards, if the list is old or one of them has ended.
    pub(super) async fn refresh(&mut self, positions: &Positions) -> Result<(), BoxError> {
        if self.listed.is_some_and(|listed| listed.elapsed() < LIST_AGE_MAX) {
            return Ok(());
        }
        let mut found = Vec::new();
        let mut after = None;
        for _ in 0..LIST_PAGES_MAX {
            let answer = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(after)
                .send()
                .await?;
            let description = answer.stream_description.ok_or("a stream without a description")?;
            found.extend(description.shards.unwrap_or_default());
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                break;
            }
        }
        let mut known = std::mem::take(&mut self.list);
        for shard in found {
            let Some(id) = shard.shard_id else { continue };
            let cursor = match known.iter().position(|known| known.id == id) {
                Some(index) => known.swap_remove(index).cursor,
                None => Cursor::Unknown,
            };
            self.list.push(Shard { id, parent: shard.parent_shard_id, cursor });
        }
        let ids: BTreeSet<&str> = self.list.iter().map(|shard| shard.id.as_str()).collect();
        positions.retain(&ids);
        self.listed = Some(Instant::now());
        Ok(())
    }

    /// The shards that may be read now: not finished, and no child before its parent is.
    pub(super) fn readable(&self, positions: &Positions) -> Vec<String> {
        let unfinished = |id: &str| positions.get(id) != Some(Position::Finished);
        let waits = |shard: &Shard| {
            shard
                .parent
                .as_deref()
                .is_some_and(|parent| unfinished(parent) && self.list.iter().any(|other| other.id == parent))
        };
        self.list
            .iter()
            .filter(|shard| unfinished(&shard.id) && !waits(shard))
            .map(|shard| shard.id.clone())
            .collect()
    }

    /// Reads the next records. All records of an earlier read count as delivered.
    pub(super) async fn read(&mut self, id: &str, positions: &Positions) -> Result<Page, BoxError> {
        let nothing = Page { records: Vec::new(), ended: false };
        let Some(index) = self.list.iter().position(|shard| shard.id == id) else { return Ok(nothing) };
        let iterator = match &self.list[index].cursor {
            Cursor::At(iterator) => iterator.clone(),
            Cursor::Unknown => match positions.get(id) {
                Some(Position::Reading { after, .. }) => match self.iterator(id, Some(after)).await {
                    Ok(iterator) => iterator,
                    Err(error) if is_gone(&error) => {
                        tracing::warn!(
                            shard = id,
                            "the position is gone: the shard is read from its oldest record"
                        );
                        self.iterator(id, None).await?
                    }
                    Err(error) => return Err(error.into()),
                },
                Some(Position::Finished) | None => self.iterator(id, None).await?,
            },
            Cursor::Lost => self.iterator(id, None).await?,
        };
        match self.client.get_records().shard_iterator(iterator).limit(READ_MAX).send().await {
            Ok(answer) => {
                let ended = answer.next_shard_iterator.is_none();
                self.list[index].cursor = answer.next_shard_iterator.map_or(Cursor::Unknown, Cursor::At);
                if ended {
                    self.listed = None;
                }
                Ok(Page { records: answer.records.unwrap_or_default(), ended })
            }
            Err(error) => {
                let service = error.as_service_error();
                if service.is_some_and(GetRecordsError::is_trimmed_data_access_exception) {
                    self.list[index].cursor = Cursor::Lost;
                } else if service.is_some_and(GetRecordsError::is_expired_iterator_exception) {
                    self.list[index].cursor = Cursor::Unknown;
                }
                Err(error.into())
            }
        }
    }

    async fn iterator(
        &self,
        shard: &str,
        after: Option<String>,
    ) -> Result<String, SdkError<GetShardIteratorError>> {
        let r#type = if after.is_some() {
            ShardIteratorType::AfterSequenceNumber
        } else {
            ShardIteratorType::TrimHorizon
        };
        let ask = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let answer = ask.shard_iterator_type(r#type).set_sequence_number(after).send().await?;
        answer.shard_iterator.ok_or_else(|| SdkError::construction_failure("a shard without an iterator"))
    }
}

/// Whether the stream no longer knows a position. An engine that fails just now may still know it.
fn is_gone(error: &SdkError<GetShardIteratorError>) -> bool {
    error.as_service_error().is_some_and(|error| !error.is_internal_server_error())
}
