//! The event source mapping of one function: it reads a stream, shard by shard, and delivers it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use tokio::sync::watch;

use super::Subscription;
use super::delivery::{Lane, Mapping, Outcome};
use super::positions::{Position, Positions};
use super::record::Change;
use super::shards::Shards;
use crate::clock;
use crate::error::BoxError;
use crate::stop::Stopped;

/// How long a pump waits after a read that found nothing. The wait doubles each time; a ring ends it.
const IDLE_MIN: Duration = Duration::from_millis(25);
const IDLE_MAX: Duration = Duration::from_millis(200);
/// How long it waits after a read that failed.
const FAILED_WAIT: Duration = Duration::from_secs(1);

/// Reads and delivers until the stack stops.
pub(super) struct Pump {
    shards: Shards,
    mapping: Mapping,
    lanes: BTreeMap<String, Lane>,
}

/// The result of reading all shards once.
enum Pass {
    /// Records came, or a shard ended: there may be more.
    Moved,
    /// Nothing was left when each shard was read.
    Nothing,
    /// The stack stops.
    Stopped,
}

impl Pump {
    pub(super) fn new(
        subscription: Subscription,
        client: Client,
        positions: Arc<Positions>,
        delivered: Arc<AtomicU64>,
        stopped: Stopped,
    ) -> Self {
        let shards = Shards::new(client, subscription.stream_arn.clone());
        let mapping = Mapping::new(subscription, positions, delivered, stopped);
        Self { shards, mapping, lanes: BTreeMap::new() }
    }

    /// `settled` is told the last ring before a pass that found nothing.
    pub(super) async fn run(
        mut self,
        mut rings: watch::Receiver<u64>,
        settled: watch::Sender<u64>,
        mut stopped: Stopped,
    ) {
        let mut idle = IDLE_MIN;
        while !stopped.is_over() {
            let ring = *rings.borrow_and_update();
            let wait = match self.pass().await {
                Ok(Pass::Stopped) => return,
                Ok(Pass::Moved) => {
                    idle = IDLE_MIN;
                    continue;
                }
                Ok(Pass::Nothing) => {
                    settled.send_replace(ring);
                    let wait = idle;
                    idle = IDLE_MAX.min(idle * 2);
                    wait
                }
                Err(error) => {
                    tracing::warn!(
                        function = self.mapping.name(),
                        error = &*error,
                        "the stream could not be read"
                    );
                    FAILED_WAIT
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // An error means that the stack is gone. The condition of the loop finds that out.
                _ = rings.changed() => idle = IDLE_MIN,
                () = stopped.over() => return,
            }
        }
    }

    async fn pass(&mut self) -> Result<Pass, BoxError> {
        let Self { shards, mapping, lanes } = self;
        shards.refresh(&mapping.positions).await?;
        let mut pass = Pass::Nothing;
        for shard in shards.readable(&mapping.positions) {
            let page = shards.read(&shard, &mapping.positions).await?;
            let lane = lanes.entry(shard.clone()).or_insert_with(|| Lane::resume(shard, &mapping.positions));
            if !page.records.is_empty() {
                pass = Pass::Moved;
                let written = page
                    .records
                    .into_iter()
                    .map(|record| Change::of(record, mapping.arn(), mapping.patterns()));
                let changes = written.collect::<Result<Vec<_>, _>>()?;
                if lane.deliver(mapping, &changes).await == Outcome::Stopped {
                    return Ok(Pass::Stopped);
                }
            }
            let over = page.ended || lane.window_is_over(clock::now().timestamp());
            if over && lane.close_window(mapping).await == Outcome::Stopped {
                return Ok(Pass::Stopped);
            }
            if page.ended {
                pass = Pass::Moved;
                mapping.positions.set(lane.shard(), Position::Finished);
            }
        }
        lanes.retain(|shard, _| mapping.positions.get(shard) != Some(Position::Finished));
        Ok(pass)
    }
}
