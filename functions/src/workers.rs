//! `GET /v1/workers`: the workers that hold jobs, and what they hold.

use std::collections::BTreeSet;

use jobledger::Function;
use jobledger::domain::{JobId, Timestamp, TypeName, WorkerId};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, function};
use jobledger::lists::{HeldJobs, Workers};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<ListWorkers>();

/// `GET /v1/workers`.
#[derive(Debug)]
pub struct ListWorkers;

#[derive(Serialize)]
struct Body {
    workers: Vec<WorkerView>,
    total: u64,
    total_kind: &'static str,
}

#[derive(Serialize)]
struct WorkerView {
    worker_id: WorkerId,
    jobs: u64,
    job_ids: Vec<JobId>,
    types: BTreeSet<TypeName>,
    since: Timestamp,
    lease_expires_at: Timestamp,
}

impl Route for ListWorkers {
    const NAME: &'static str = "list-workers";
    const KEY: RouteKey = RouteKey::get("/v1/workers");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        call.query.finish(Some(()))?;
        let Workers { workers, total } = call.backend.jobs().workers(&owner).await?;
        let workers = workers.into_iter().map(|(worker_id, held)| {
            let HeldJobs { count, first, types, since, lease_until } = held;
            WorkerView { worker_id, jobs: count, job_ids: first, types, since, lease_expires_at: lease_until }
        });
        Ok(Answer::ok(&Body { workers: workers.collect(), total: total.count, total_kind: total.kind() }))
    }
}
