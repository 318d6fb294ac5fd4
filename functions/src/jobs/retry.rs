//! `POST /v1/jobs/{job_id}/retry`: queues a job again that failed or was cancelled, with one more try.

use jobledger::Function;
use jobledger::domain::{Status, is_own};
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, Scope, function};
use jobledger::store::plans::{self, Seen};
use jobledger::store::{Ledger, Written, job_of_row};

/// The function.
pub const FUNCTION: Function = function::<RetryJob>();

/// How often the job may change between being read and being queued.
const MAX_TRIES: usize = 4;

/// `POST /v1/jobs/{job_id}/retry`.
#[derive(Debug)]
pub struct RetryJob;

impl Route for RetryJob {
    const NAME: &'static str = "retry-job";
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let id = call.query.finish(id)?;
        let Ledger { store, config, .. } = call.backend;
        let tables = &config.tables;
        let head = store.get(plans::get_head(tables, id).consistent_read(true)).await?;
        let mut job = job_of_row(head.ok_or_else(Problem::job_not_found)?)?;
        for _ in 0..MAX_TRIES {
            if job.owner != owner {
                return Err(Problem::other_owner());
            }
            if is_own(&job.kind) {
                return Err(Problem::service_job(&job.kind));
            }
            if !job.status().may_become(Status::Queued) || job.status() == Status::Running {
                break;
            }
            let plan = plans::retry(tables, &owner, Seen::from(&job), call.now);
            job = match store.update(plan).await? {
                Written::Done(item) => {
                    let job = job_of_row(item.ok_or_else(Problem::job_not_found)?)?;
                    return Ok(Answer::ok(&JobView::new(&job, call.now)));
                }
                Written::Refused(item) => job_of_row(item.ok_or_else(Problem::job_not_found)?)?,
            };
            // Its own first try, whose answer was lost.
            if job.status() == Status::Queued && job.updated_at == call.now {
                return Ok(Answer::ok(&JobView::new(&job, call.now)));
            }
        }
        Err(Problem::wrong_status(job.status(), "retried"))
    }
}
