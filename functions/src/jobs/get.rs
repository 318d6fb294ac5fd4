//! `GET /v1/jobs/{job_id}`: everything about a job; with `wait`, once it has ended or the time is over.

use jobledger::Function;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, Wait, function};
use jobledger::queue::Pace;
use jobledger::store::Ledger;

/// The function.
pub const FUNCTION: Function = function::<GetJob>();

/// How often it is looked whether the job has ended.
const PACE: Pace = Pace { first_ms: 100, longest_ms: 1_000 };

/// `GET /v1/jobs/{job_id}`.
#[derive(Debug)]
pub struct GetJob;

impl Route for GetJob {
    const NAME: &'static str = "get-job";
    const KEY: RouteKey = RouteKey::get("/v1/jobs/{job_id}");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    const OTHERS: &'static [RouteKey] = super::WORDS;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let wait = call.query.optional("wait", Wait::parse);
        let id = call.query.finish(id)?;
        let jobs = call.backend.jobs();
        let mut whole = jobs.whole(&owner, id).await?;
        let wait = wait.filter(|wait| wait.seconds > 0 && !whole.head.job.status().is_ended());
        let seconds = match wait {
            Some(wait) => call.pay_wait(wait.seconds.into()).await,
            None => 0,
        };
        if seconds > 0 {
            let deadline = call.now.plus_millis(i64::from(seconds) * 1_000);
            jobs.wait_for_end(id, PACE, deadline).await?;
            whole = jobs.whole(&owner, id).await?;
        }
        jobs.measure(&mut whole).await?;
        Ok(Answer::ok(&whole.view((call.clock)())))
    }
}
