//! `DELETE /v1/jobs/{job_id}`: cancels a job if it lives, then removes it. Its parts follow by the stream.

use jobledger::Function;
use jobledger::domain::{Invalid, JobId};
use jobledger::http::{Access, Answer, Call, Problem, Route, Scope, function};
use jobledger::queue::stop;
use jobledger::store::{Ledger, Written, job_of_row, plans};
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<DeleteJob>();

/// How often a job may come back to life (by a retry) between its cancellation and its removal.
const MAX_TRIES: usize = 3;

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
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        // Jobs have no files of their own yet, so both answers do the same; other words are refused all the same.
        call.query.optional("delete_files", boolean);
        let id = call.query.finish(id)?;
        let Ledger { store, config, .. } = call.backend;
        let tables = &config.tables;
        let mut status = None;
        for _ in 0..MAX_TRIES {
            let kept = match store.delete(plans::delete_ended(tables, &owner, id)).await? {
                Written::Done(_) => {
                    return Ok(Answer::ok(&Body { job_id: id, deleted: true, files_deleted: 0 }));
                }
                Written::Refused(item) => job_of_row(item.ok_or_else(Problem::job_not_found)?)?,
            };
            if kept.owner != owner {
                return Err(Problem::other_owner());
            }
            status = Some(kept.status());
            // Refused here means that it ended by itself meanwhile: the next removal will do.
            stop(store, tables, id, plans::cancel(tables, &owner, id, call.now), None).await?;
        }
        Err(status.map_or_else(Problem::job_not_found, |status| Problem::wrong_status(status, "deleted")))
    }
}

fn boolean(text: &str) -> Result<bool, Invalid> {
    text.parse().map_err(|_| Invalid::new("must be true or false"))
}
