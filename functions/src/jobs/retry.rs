//! `POST /v1/jobs/{job_id}/retry`: queues a job again that failed or was cancelled, with one more try.

use jobledger::Function;
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;

/// The function.
pub const FUNCTION: Function = function::<RetryJob>();

/// `POST /v1/jobs/{job_id}/retry`.
#[derive(Debug)]
pub struct RetryJob;

impl Route for RetryJob {
    const NAME: &'static str = "retry-job";
    const KEY: RouteKey = RouteKey::post("/v1/jobs/{job_id}/retry");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let id = call.query.finish(id)?;
        let head = call.backend.jobs().retry(&owner, id, call.fresh, call.now).await?;
        Ok(Answer::ok(&JobView::new(&head.job, call.now)))
    }
}
