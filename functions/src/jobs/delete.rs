//! `DELETE /v1/jobs/{job_id}`: cancels a job if it lives, then removes it. Its parts follow by the stream.

use jobledger::Function;
use jobledger::domain::{Invalid, JobId};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, function};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<DeleteJob>();

/// `DELETE /v1/jobs/{job_id}`.
#[derive(Debug)]
pub struct DeleteJob;

#[derive(Serialize)]
struct Body {
    job_id: JobId,
    deleted: bool,
    files_deleted: u32,
}

impl Route for DeleteJob {
    const NAME: &'static str = "delete-job";
    const KEY: RouteKey = RouteKey::delete("/v1/jobs/{job_id}");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    const OTHERS: &'static [RouteKey] = super::WORDS;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        // Jobs have no files of their own yet, so both answers do the same; other words are refused all the same.
        call.query.optional("delete_files", boolean);
        let id = call.query.finish(id)?;
        call.backend.jobs().delete(&owner, id, call.now, None).await?;
        Ok(Answer::ok(&Body { job_id: id, deleted: true, files_deleted: 0 }))
    }
}

fn boolean(text: &str) -> Result<bool, Invalid> {
    text.parse().map_err(|_| Invalid::new("must be true or false"))
}
