//! `POST /v1/jobs/batch-status`: the status of up to 100 jobs, in one read.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use jobledger::Function;
use jobledger::domain::JobId;
use jobledger::http::{
    Access, Answer, Call, Fields, JobView, Problem, Route, RouteKey, Scope, function, job_id,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<BatchStatus>();

/// Ids of one call: as many as one request of DynamoDB takes.
const IDS: RangeInclusive<usize> = 1..=100;
/// Longest body: the ids take 4 KB, and may be written with as much white space three times over.
const MAX_BODY_BYTES: usize = 16 * 1024;

/// `POST /v1/jobs/batch-status`.
#[derive(Debug)]
pub struct BatchStatus;

#[derive(Serialize)]
struct Body<'a> {
    jobs: Vec<JobView<'a>>,
    not_found: Vec<JobId>,
}

impl Route for BatchStatus {
    const NAME: &'static str = "batch-status";
    const KEY: RouteKey = RouteKey::post("/v1/jobs/batch-status");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        call.query.finish(Some(()))?;
        let ids = parse(call.body)?;
        let mine = call.backend.jobs().some(&owner, &ids).await?;
        Ok(Answer::ok(&Body {
            jobs: ids.iter().filter_map(|id| mine.get(id)).map(|job| JobView::new(job, call.now)).collect(),
            not_found: ids.iter().copied().filter(|id| !mine.contains_key(id)).collect(),
        }))
    }
}

/// The ids that are asked for, each once, where it first stands.
fn parse(body: &[u8]) -> Result<Vec<JobId>, Problem> {
    let mut fields = Fields::parse(body)?;
    let ids = fields.each("job_ids", &IDS, job_id);
    let mut ids = fields.finish(ids).map_err(Problem::invalid_body)?;
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(*id));
    Ok(ids)
}
