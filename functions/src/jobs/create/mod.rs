//! `POST /v1/jobs`: creates a job. One conditional write decides; the job's input is written before it.

use jobledger::Function;
use jobledger::domain::{Creation, JobId, Status, Timestamp};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope, Wait, function};
use jobledger::queue::Created;
use jobledger::store::Ledger;
use lambda_http::http::StatusCode;
use serde::Serialize;

mod parse;
mod wait;

use wait::Waited;

/// The function.
pub const FUNCTION: Function = function::<CreateJob>();

/// Longest body: 256 KiB of payload and metadata, written with as much white space again, and the other fields.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// `POST /v1/jobs`.
#[derive(Debug)]
pub struct CreateJob;

#[derive(Serialize)]
struct Body {
    job_id: JobId,
    status: Status,
    available_at: Option<Timestamp>,
    position_in_queue: Option<u64>,
    estimated_duration_seconds: Option<u64>,
}

impl Route for CreateJob {
    const NAME: &'static str = "create-job";
    const KEY: RouteKey = RouteKey::post("/v1/jobs");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key = call.idempotency_key()?;
        let preferred = call.prefer_wait()?;
        call.query.finish(Some(()))?;
        let new = parse::new_job(call.body)?;
        let creation = Creation {
            owner,
            key,
            trace_id: call.trace_id(),
            quota_bytes: call.storage_quota_bytes(),
            max_types: call.max_types(),
            now: call.now,
            fresh: call.fresh,
        };
        let Created { mut head, is_new, mut ahead, mean_run_ms, mode } =
            call.backend.jobs().create(&creation, &new).await?;
        let location = format!("/v1/jobs/{}", head.job.id);
        if let Some(wait) = wait::wait_of(preferred, mode) {
            match wait::wait(&call, &head, wait).await {
                Waited::Ended(whole) => {
                    let mut answer = Answer::ok(&whole.view((call.clock)()));
                    if let Some(Wait { seconds }) = preferred {
                        answer = answer.with("preference-applied", format!("wait={seconds}"));
                    }
                    return Ok(answer.with("location", location));
                }
                Waited::Open(now, ahead_now) => (head, ahead) = (*now, ahead_now),
                Waited::Unknown => {}
            }
        }
        let body = Body {
            job_id: head.job.id,
            status: head.job.status(),
            available_at: head.job.state.available_at(),
            position_in_queue: ahead.map(|ahead| ahead + 1),
            estimated_duration_seconds: mean_run_ms.map(|millis| millis.div_ceil(1_000)),
        };
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Answer::json(status, &body).with("location", location))
    }
}
