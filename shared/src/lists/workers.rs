//! The workers that hold jobs: read from the heads of running jobs, because no index has the holder of a job.

use std::collections::{BTreeMap, BTreeSet};

use super::prepared::Prepared;
use super::{MAX_EXAMINED, Total};
use crate::domain::{Job, JobId, JobQuery, Owner, Status, Timestamp, TypeName, WorkerId};
use crate::store::ranges::Bounds;
use crate::store::{Source, StoreError, read_heads};

/// Most running jobs that are looked at, the newest first.
pub const MAX_RUNNING: usize = 5_000;
/// Most jobs that are named of one worker.
const MAX_NAMED: usize = 10;

/// The workers of an owner that hold jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Each by its name.
    pub workers: BTreeMap<WorkerId, HeldJobs>,
    /// How many these are; there may be more if more jobs run than are looked at.
    pub total: Total,
}

/// The jobs that a worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldJobs {
    /// How many.
    pub count: u64,
    /// Those whose attempts began first.
    pub first: Vec<JobId>,
    /// Their types.
    pub types: BTreeSet<TypeName>,
    /// When the first of these attempts began.
    pub since: Timestamp,
    /// When the last of their leases is over, if the worker reports nothing more.
    pub lease_until: Timestamp,
}

/// Reads which workers hold jobs of an owner.
pub(super) async fn workers(source: Source<'_>, owner: &Owner) -> Result<Workers, StoreError> {
    let query = JobQuery { statuses: BTreeSet::from([Status::Running]), ..JobQuery::all(owner.clone()) };
    let list = Prepared::of(source, &query).await?;
    let mut reader = list.reader(&list.plan(MAX_RUNNING), Bounds::of(query.created), query.order);
    let taken = reader.take(MAX_RUNNING + 1, MAX_EXAMINED).await?;
    let is_exact = taken.rows.len() <= MAX_RUNNING && taken.gave_up_at.is_none();
    let ids = taken.rows.iter().take(MAX_RUNNING).map(|row| row.id).collect();
    let heads = read_heads(source.store, source.tables, ids).await?;
    let workers = by_worker(heads.values());
    let count = u64::try_from(workers.len()).unwrap_or(u64::MAX);
    Ok(Workers { workers, total: Total { count, is_exact } })
}

/// Puts jobs under the workers that hold them.
fn by_worker<'a>(jobs: impl Iterator<Item = &'a Job>) -> BTreeMap<WorkerId, HeldJobs> {
    let held = jobs.filter_map(|job| {
        let (worker, lease, started_at) = (job.held_by()?, job.lease()?, job.state.started_at()?);
        Some((started_at, worker, lease, job))
    });
    let mut held: Vec<_> = held.collect();
    held.sort_by_key(|(started_at, _, _, job)| (*started_at, job.id));
    let mut workers: BTreeMap<WorkerId, HeldJobs> = BTreeMap::new();
    for (started_at, worker, lease, job) in held {
        let of_worker = workers.entry(worker.clone()).or_insert_with(|| HeldJobs {
            count: 0,
            first: Vec::new(),
            types: BTreeSet::new(),
            since: started_at,
            lease_until: lease.until,
        });
        of_worker.count += 1;
        if of_worker.first.len() < MAX_NAMED {
            of_worker.first.push(job.id);
        }
        of_worker.types.insert(job.kind.clone());
        of_worker.lease_until = of_worker.lease_until.max(lease.until);
    }
    workers
}
