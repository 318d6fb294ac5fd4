//! `POST /v1/jobs/{job_id}/cancel`: calls a job off, at once. One write, which is its own check; a job that
//! holds a slot of its type gives it back in the same transaction.

use jobledger::Function;
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;

/// The function.
pub const FUNCTION: Function = function::<CancelJob>();

/// `POST /v1/jobs/{job_id}/cancel`.
#[derive(Debug)]
pub struct CancelJob;

impl Route for CancelJob {
    const NAME: &'static str = "cancel-job";
    const KEY: RouteKey = RouteKey::post("/v1/jobs/{job_id}/cancel");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let id = call.query.finish(id)?;
        let head = call.backend.jobs().cancel(&owner, id, call.now, None).await?;
        Ok(Answer::ok(&JobView::new(&head.job, call.now)))
    }
}
