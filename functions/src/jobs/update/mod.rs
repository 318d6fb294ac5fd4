//! `PATCH /v1/jobs/{job_id}`: changes of a job by its caller, and reports by the program that works on it.

use jobledger::Function;
use jobledger::domain::{ErrorCode, Head, Job, JobChange, Status, Timestamp};
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, RouteKey, Scope, function};
use jobledger::queue::Update;
use jobledger::store::Ledger;
use serde::Serialize;

mod parse;

/// The function.
pub const FUNCTION: Function = function::<UpdateJob>();

/// Longest body: 256 KiB of results, written with as much white space again, and the other fields.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// `PATCH /v1/jobs/{job_id}`.
#[derive(Debug)]
pub struct UpdateJob;

/// The job, and what its worker has to know.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(flatten)]
    job: JobView<'a>,
    /// Whether to stop working on it.
    cancel: bool,
}

impl Route for UpdateJob {
    const NAME: &'static str = "update-job";
    const KEY: RouteKey = RouteKey::patch("/v1/jobs/{job_id}");
    const ACCESS: Access = Access::Any(&[Scope::Write, Scope::Work]);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    const OTHERS: &'static [RouteKey] = super::WORDS;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let id = call.query.finish(id)?;
        let change = parse::job_change(call.body)?;
        if change.is_report() {
            call.require(Scope::Work)?;
        }
        if change.is_edit() {
            call.require(Scope::Write)?;
        }
        let update = Update { owner: &owner, id, now: call.now, fresh: call.fresh };
        let head = call.backend.jobs().update(update, &change).await?;
        if change.status == Some(Status::Failed) {
            // Not its message, which may hold anything.
            let code = change.error.as_ref().and_then(|error| error.code.as_ref()).map(ErrorCode::as_str);
            let Job { id, owner, kind, attempt, .. } = &head.job;
            let status = head.job.status().as_str();
            tracing::info!(job_id = %id, %owner, r#type = %kind, attempt, code, status, "an attempt failed");
        }
        Ok(answer(&head, &change, call.now))
    }
}

fn answer(head: &Head, change: &JobChange, now: Timestamp) -> Answer {
    // If a report comes for a job that was called off, and the report does not end it, the answer tells the reporter to
    // stop.
    let cancel = change.was_called_off(head);
    Answer::ok(&Body { job: JobView::new(&head.job, now), cancel })
}
