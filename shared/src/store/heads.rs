//! The data of jobs that the indexes do not have: read from their heads.

use std::collections::{BTreeSet, HashMap};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Corrupt, Store, StoreError, Tables, job_of_row, plans};
use crate::domain::{Job, JobId, State, Status};

/// Heads read by one request: as many as one request of DynamoDB takes.
const MAX_HEADS: usize = 100;
/// Requests under way at once: enough for the longest page of a list.
const MAX_READS_AT_ONCE: usize = 5;

/// Fills in how far those of these jobs are that run, their holders, and the last errors of those that were tried before. All
/// is as of now or a moment ago. Reads nothing if none of the jobs runs or waits for another attempt.
pub async fn with_heads(store: &Store, tables: &Tables, jobs: &mut [Job]) -> Result<(), StoreError> {
    let wanted = jobs.iter().filter(|job| is_told_by_head(job)).map(|job| job.id).collect();
    let heads = read_heads(store, tables, wanted).await?;
    for job in jobs.iter_mut().filter(|job| is_told_by_head(job)) {
        let head = heads.get(&job.id);
        job.progress = head.and_then(|head| head.progress.clone());
        // If the job has moved on since the row was written, the rest is not about this attempt.
        let Some(head) = head.filter(|head| (head.status(), head.attempt) == (job.status(), job.attempt))
        else {
            continue;
        };
        job.last_try.clone_from(&head.last_try);
        job.holder.clone_from(&head.holder);
        if let State::Running { lease, .. } = &mut job.state {
            *lease = head.lease();
        }
    }
    Ok(())
}

/// Whether the head of a job has more to show than its row: it runs, or waits for another attempt.
fn is_told_by_head(job: &Job) -> bool {
    match job.status() {
        Status::Running => true,
        Status::Queued => job.attempt > 0,
        Status::Completed | Status::Failed | Status::Cancelled => false,
    }
}

/// Reads the heads of jobs, as of now or a moment ago; those that are gone are left out.
pub(crate) async fn read_heads(
    store: &Store,
    tables: &Tables,
    ids: BTreeSet<JobId>,
) -> Result<HashMap<JobId, Job>, StoreError> {
    // A set, because a batch may name no item twice.
    let ids: Vec<JobId> = ids.into_iter().collect();
    let reads: Vec<_> = ids.chunks(MAX_HEADS).map(|ids| read(store, tables, ids)).collect();
    let read: Vec<Vec<Job>> = stream::iter(reads).buffered(MAX_READS_AT_ONCE).try_collect().await?;
    Ok(read.into_iter().flatten().map(|job| (job.id, job)).collect())
}

async fn read(store: &Store, tables: &Tables, ids: &[JobId]) -> Result<Vec<Job>, StoreError> {
    let heads = store.batch_get(plans::get_heads(tables, ids)?).await?.into_values().flatten();
    Ok(heads.map(job_of_row).collect::<Result<_, Corrupt>>()?)
}
