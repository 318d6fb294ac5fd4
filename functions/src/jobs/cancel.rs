//! `POST /v1/jobs/{job_id}/cancel`: calls a job off, at once. One write, which is its own check; a job that
//! holds a slot of its type gives it back in the same transaction.

use jobledger::Function;
use jobledger::domain::Status;
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, Scope, function};
use jobledger::queue::stop;
use jobledger::store::{Ledger, Written, job_of_row, plans};

/// The function.
pub const FUNCTION: Function = function::<CancelJob>();

/// `POST /v1/jobs/{job_id}/cancel`.
#[derive(Debug)]
pub struct CancelJob;

impl Route for CancelJob {
    const NAME: &'static str = "cancel-job";
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let Ledger { store, config, .. } = call.backend;
        let id = call.query.finish(id)?;
        let plan = plans::cancel(&config.tables, &owner, id, call.now);
        let item = match stop(store, &config.tables, id, plan, None).await? {
            Written::Done(item) | Written::Refused(item) => item,
        };
        let job = job_of_row(item.ok_or_else(Problem::job_not_found)?)?;
        if job.owner != owner {
            return Err(Problem::other_owner());
        }
        // Cancelled now, or before: both are what the caller wants.
        match job.status() {
            Status::Cancelled => Ok(Answer::ok(&JobView::new(&job, call.now))),
            status => Err(Problem::wrong_status(status, "cancelled")),
        }
    }
}
