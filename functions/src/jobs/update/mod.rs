//! `PATCH /v1/jobs/{job_id}`: what its caller changes of a job, and what whoever works on it reports.
//!
//! A heartbeat and a good end of a leased job are one guarded write and no read (`held`). All else reads the head,
//! decides, and puts the new one in its place if nothing changed meanwhile (`step`).

use jobledger::Function;
use jobledger::domain::{Head, Timestamp};
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, Scope, function};
use jobledger::store::Ledger;
use serde::Serialize;

mod held;
mod parse;
mod refusal;
mod step;

use parse::Change;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_expires_at: Option<Timestamp>,
}

impl Route for UpdateJob {
    const NAME: &'static str = "update-job";
    const ACCESS: Access = Access::Any(&[Scope::Write, Scope::Work]);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let id = call.query.finish(id)?;
        let change = Change::parse(call.body)?;
        if change.is_report() {
            call.require(Scope::Work)?;
        }
        if change.is_edit() {
            call.require(Scope::Write)?;
        }
        let head = match &change.lease {
            Some(lease) if change.is_heartbeat() => held::renew(&call, &owner, id, &change, lease).await?,
            Some(lease) if change.is_plain_end() => held::complete(&call, &owner, id, &change, lease).await?,
            Some(_) | None => step::take(&call, &owner, id, &change).await?,
        };
        Ok(answer(&head, &change, call.now))
    }
}

fn answer(head: &Head, change: &Change, now: Timestamp) -> Answer {
    let lease = head.job.lease();
    // Who still reports on a job that was called off, and says no end of it, is told to stop.
    let cancel = change.lease.is_some() && refusal::was_called_off(head, change);
    Answer::ok(&Body {
        job: JobView::new(&head.job, now),
        cancel,
        lease_expires_at: lease.filter(|_| change.lease.is_some()).map(|lease| lease.until),
    })
}
