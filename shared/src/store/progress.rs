//! How far running jobs are: read from their heads, for the indexes do not know.

use std::collections::{BTreeSet, HashMap};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::item::{id_of_row, progress_of_row};
use super::{Corrupt, Store, StoreError, Tables, plans};
use crate::domain::{Job, JobId, Progress, Status};

/// Heads read by one request: as many as one request of DynamoDB takes.
const MAX_HEADS: usize = 100;
/// Requests under way at once: enough for the longest page of a list.
const MAX_READS_AT_ONCE: usize = 5;

/// Fills in how far those of these jobs are that run, as of now or a moment ago; of the others it is known by their status,
/// or was told with them. Reads nothing where none runs.
pub async fn with_progress(store: &Store, tables: &Tables, jobs: &mut [Job]) -> Result<(), StoreError> {
    let running = jobs.iter().filter(|job| job.status() == Status::Running).map(|job| job.id);
    // A batch may name no item twice.
    let running: Vec<JobId> = running.collect::<BTreeSet<_>>().into_iter().collect();
    let reads: Vec<_> = running.chunks(MAX_HEADS).map(|ids| read(store, tables, ids)).collect();
    let read: Vec<_> = stream::iter(reads).buffered(MAX_READS_AT_ONCE).try_collect().await?;
    let found: HashMap<JobId, Progress> = read.into_iter().flatten().collect();
    for job in jobs.iter_mut().filter(|job| job.status() == Status::Running) {
        job.progress = found.get(&job.id).cloned();
    }
    Ok(())
}

/// How far these jobs are, but for those of which nobody has said it, or which are gone.
async fn read(store: &Store, tables: &Tables, ids: &[JobId]) -> Result<Vec<(JobId, Progress)>, StoreError> {
    let heads = store.batch_get(plans::get_progress(tables, ids)?).await?.into_values().flatten();
    let said = heads.map(|head| Ok((id_of_row(&head)?, progress_of_row(head)?)));
    let said: Vec<(JobId, Option<Progress>)> = said.collect::<Result<_, Corrupt>>()?;
    Ok(said.into_iter().filter_map(|(id, progress)| Some((id, progress?))).collect())
}
