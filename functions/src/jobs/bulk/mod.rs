//! `POST /v1/jobs/bulk`: one change to many jobs. It writes a job with its task, and answers.
//! `run-background-tasks` then changes the jobs. With `dry_run`, it only counts them.

use jobledger::Function;
use jobledger::background::bulk::{Bulk, BulkState};
use jobledger::background::{Asked, begin};
use jobledger::domain::BulkAction;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;
use serde::Serialize;

mod parse;

use parse::Request;

/// The function.
pub const FUNCTION: Function = function::<BulkJobs>();

/// Longest body: a filter of a hundred types of 64 letters, many times over, or a thousand ids.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `POST /v1/jobs/bulk`.
#[derive(Debug)]
pub struct BulkJobs;

/// The answer of a dry run.
#[derive(Serialize)]
struct Body {
    action: BulkAction,
    dry_run: bool,
    matched: u64,
    total_kind: &'static str,
}

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
        let request = Request::parse(call.body, &owner, call.now)?;
        let Request { action, jobs, is_dry_run, input, fingerprint } = request;
        let state = BulkState::new(action, jobs.clone());
        if is_dry_run {
            let total = state.find(call.backend, &owner, call.now).await?;
            let (matched, total_kind) = (total.count, total.kind());
            return Ok(Answer::ok(&Body { action, dry_run: true, matched, total_kind }));
        }
        let asked = Asked::of(&call, owner, key, fingerprint, input).await?;
        let begun = begin::<Bulk>(call.backend, &asked, &state).await?;
        let answer = asked.answer(&begun)?;
        // Also where it was begun before, by a call that may have ended before it could say so.
        call.audit(&format!("bulk.{}", action.as_str()), &asked.id, Some(&asked.owner), &parse::told(jobs));
        Ok(answer)
    }
}
