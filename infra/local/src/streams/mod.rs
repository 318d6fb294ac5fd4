//! DynamoDB streams, delivered to functions as Lambda's event source mappings do.

mod delivery;
mod event;
mod positions;
mod pump;
mod record;
mod shards;
mod window;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::engine::Passed;
use crate::error::{Error, Result};
use crate::invoke::Instance;
use crate::stop::Stopped;
use crate::template::DynamoDbSource;
use positions::Positions;
use pump::Pump;

/// Tells every pump that something may have been written. Each ring has a number, so that a pump can tell which ring
/// it has answered.
#[derive(Clone, Debug)]
pub(crate) struct Wake(Arc<watch::Sender<u64>>);

impl Wake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Rings; returns the ring's number.
    pub(crate) fn ring(&self) -> u64 {
        let mut number = 0;
        self.0.send_modify(|rings| {
            *rings += 1;
            number = *rings;
        });
        number
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// The consumers of each stream, and their positions.
#[derive(Clone, Debug)]
pub(crate) struct Consumers {
    streamed: Arc<[String]>,
    readers: Arc<[Reader]>,
}

#[derive(Debug)]
struct Reader {
    name: String,
    table: String,
    positions: Arc<Positions>,
    /// The last ring after which the pump read its stream and found nothing left.
    settled: watch::Receiver<u64>,
    /// Batches delivered since the start.
    delivered: Arc<AtomicU64>,
}

/// One stream, and the function that receives it.
pub(crate) struct Subscription {
    pub(crate) instance: Instance,
    pub(crate) source: DynamoDbSource,
    pub(crate) stream_arn: String,
}

impl Consumers {
    /// Starts a pump for each subscription. `streamed` are the tables that have a stream, with a reader or without.
    pub(crate) fn start(
        subscriptions: Vec<Subscription>,
        streamed: Vec<String>,
        client: &aws_sdk_dynamodbstreams::Client,
        directory: &Path,
        wake: &Wake,
        stopped: &Stopped,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let mut readers = Vec::new();
        for subscription in subscriptions {
            let name = subscription.instance.name().to_owned();
            let file = directory.join(format!("{name}.{}.json", subscription.source.id));
            let positions = Arc::new(Positions::load(file, &subscription.stream_arn));
            let delivered = Arc::new(AtomicU64::new(0));
            let (settled, seen) = watch::channel(0);
            let table = subscription.source.table.clone();
            readers.push(Reader {
                name,
                table,
                positions: Arc::clone(&positions),
                settled: seen,
                delivered: Arc::clone(&delivered),
            });
            let pump = Pump::new(subscription, client.clone(), positions, delivered, stopped.clone());
            tasks.spawn(pump.run(wake.subscribe(), settled, stopped.clone()));
        }
        Self { streamed: streamed.into(), readers: readers.into() }
    }

    /// Waits until everything is delivered that was written before the call, and everything that functions wrote
    /// because of it.
    ///
    /// A pump answers a ring only after a read that began after the ring and found no more records. A function that
    /// received records may have written more, so this ends with a round without a delivery.
    pub(crate) async fn settle(&self, wake: &Wake) -> Result<()> {
        loop {
            let before = self.delivered();
            let ring = wake.ring();
            for reader in self.readers.iter() {
                let mut settled = reader.settled.clone();
                let answered = settled.wait_for(|answered| *answered >= ring).await;
                answered.map_err(|_ended| Error::Unsettled { consumer: reader.name.clone() })?;
            }
            if self.delivered() == before {
                return Ok(());
            }
        }
    }

    /// The first consumer that has not answered the last ring.
    pub(crate) fn behind(&self, wake: &Wake) -> Option<&str> {
        let ring = *wake.0.borrow();
        self.readers.iter().find(|reader| *reader.settled.borrow() < ring).map(|reader| reader.name.as_str())
    }

    /// The positions of all readers of each streamed table.
    pub(crate) fn passed(&self) -> BTreeMap<String, Vec<Passed>> {
        self.streamed.iter().map(|table| (table.clone(), self.passed_in(table))).collect()
    }

    fn passed_in(&self, table: &str) -> Vec<Passed> {
        let readers: Vec<_> = self.readers.iter().filter(|reader| reader.table == table).collect();
        let Some((first, others)) = readers.split_first() else {
            return vec![Passed::Unread];
        };
        let mut shards = first.positions.sequences();
        for other in others {
            let theirs = other.positions.sequences();
            shards = shards
                .into_iter()
                .filter_map(|(shard, mine)| {
                    let least = mine.min(*theirs.get(&shard)?);
                    Some((shard, least))
                })
                .collect();
        }
        shards
            .into_iter()
            .map(|(shard, sequence)| Passed::UpTo { shard, sequence: sequence.to_string() })
            .collect()
    }

    fn delivered(&self) -> u64 {
        self.readers.iter().map(|reader| reader.delivered.load(Ordering::Relaxed)).sum()
    }
}
