//! The work that DynamoDB does by itself, and the embedded engine only when asked: removing expired items and records.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dynoxide::Database;

use super::stream_records::{self, Passed};
use crate::clock;
use crate::stop::Stopped;
use crate::streams::{Consumers, Wake};

/// How often expired items are removed. On AWS it takes up to some days. So no code may depend on the time of a
/// removal.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Sweeps between two prunings of the stream: an hour.
const SWEEPS_PER_PRUNING: u32 = 360;
/// How long the stream remembers at least.
const RETENTION: Duration = Duration::from_hours(24);

/// Sweeps and prunes until the stack stops.
pub(crate) async fn keep_house(
    database: Database,
    file: PathBuf,
    consumers: Consumers,
    wake: Wake,
    mut stopped: Stopped,
) {
    let mut sweeps = 0_u32;
    loop {
        if sweeps.is_multiple_of(SWEEPS_PER_PRUNING) {
            prune(&file, consumers.passed()).await;
        }
        sweeps = sweeps.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => sweep(&database, &wake).await,
            () = stopped.over() => return,
        }
    }
}

async fn sweep(database: &Database, wake: &Wake) {
    let database = database.clone();
    match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
        Ok(Ok(0)) => {}
        Ok(Ok(_removed)) => {
            wake.ring();
        }
        Ok(Err(error)) => tracing::warn!(%error, "expired items could not be removed"),
        Err(error) => tracing::error!(%error, "the removal of expired items ended"),
    }
}

async fn prune(file: &std::path::Path, passed: BTreeMap<String, Vec<Passed>>) {
    let file = file.to_owned();
    let before = (clock::now() - RETENTION).timestamp();
    let pruning = tokio::task::spawn_blocking(move || {
        for (table, shards) in passed {
            for passed in shards {
                match stream_records::prune(&file, &table, &passed, before) {
                    Ok(removed) => tracing::debug!(table, removed, "stream records pruned"),
                    Err(error) => tracing::warn!(table, %error, "stream records could not be pruned"),
                }
            }
        }
    });
    if let Err(error) = pruning.await {
        tracing::error!(%error, "the pruning of stream records ended");
    }
}
