//! `POST /v1/jobs/bulk`: one change to many jobs. It writes a job with its task, and answers.
//! `run-background-tasks` then changes the jobs.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::background::bulk::{Bulk, BulkState};
use jobledger::background::{Asked, begin};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;

mod parse;

use parse::Request;

/// The function.
pub const FUNCTION: Function = function::<BulkJobs>();

/// Longest body: a filter of a hundred types of 64 letters, many times over.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `POST /v1/jobs/bulk`.
#[derive(Debug)]
pub struct BulkJobs;

impl Route for BulkJobs {
    const NAME: &'static str = "bulk-jobs";
    const KEY: RouteKey = RouteKey::post("/v1/jobs/bulk");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key = call.idempotency_key()?;
        call.query.finish(Some(()))?;
        let Request { action, filter, input, fingerprint } = Request::parse(call.body, &owner, call.now)?;
        let asked = Asked::of(&call, owner, key, fingerprint, input).await?;
        let begun = begin::<Bulk>(call.backend, &asked, &BulkState::new(action, filter.clone())).await?;
        let answer = asked.answer(&begun)?;
        // Also where it was begun before, by a call that may have ended before it could say so.
        let filter: BTreeMap<_, _> = filter.into_iter().collect();
        call.audit(&format!("bulk.{}", action.as_str()), &asked.id, Some(&asked.owner), &filter);
        Ok(answer)
    }
}
