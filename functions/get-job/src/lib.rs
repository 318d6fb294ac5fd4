//! `GET /v1/jobs/{job_id}`: everything about a job; with `wait`, once it has ended or the time is over.

use std::time::Duration;

use jobledger::Function;
use jobledger::domain::{Head, Input, JobId, Output, Timestamp};
use jobledger::dynamo::schema::{HEAD, INPUT, OUTPUT, PART};
use jobledger::dynamo::{AttributeMap, Ledger, StoreError, decode_part, head_of_row, plans};
use jobledger::http::{Access, Answer, Beside, Call, Problem, Route, Scope, Wait, WholeJobView, function};

/// The function.
pub const FUNCTION: Function = function::<GetJob>();

/// Time between the first two looks at a job that has not ended; grows by half.
const FIRST_PAUSE_MS: u64 = 100;
/// Longest time between two looks.
const MAX_PAUSE_MS: u64 = 1_000;

/// `GET /v1/jobs/{job_id}`.
#[derive(Debug)]
pub struct GetJob;

impl Route for GetJob {
    const NAME: &'static str = "get-job";
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let id = call.job_id();
        let wait = call.query.optional("wait", Wait::parse);
        let id = call.query.finish(id)?;
        let deadline = call.now.plus_millis(wait.map_or(0, |wait| i64::from(wait.seconds) * 1_000));
        let mut parts = read_parts(call.backend, id).await?;
        if wait_for_end(&call, &parts, deadline).await? {
            parts = read_parts(call.backend, id).await?;
        }
        let head = head(&parts)?.ok_or_else(Problem::job_not_found)?;
        if head.job.owner != owner {
            return Err(Problem::other_owner());
        }
        let (input, output) = (input(&parts, &head)?, output(&parts, &head)?);
        let (beside, last) = (Beside { input, output, ..Beside::default() }, head.job.ended_try());
        Ok(Answer::ok(&WholeJobView::new(&head.job, &beside, last.as_ref(), (call.clock)())))
    }
}

/// Looks at the head until the job has ended or the time is over; whether anything may have changed since `parts`.
async fn wait_for_end(
    call: &Call<'_, Ledger>,
    parts: &[AttributeMap],
    deadline: Timestamp,
) -> Result<bool, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let is_owners = |head: &Head| call.owner().is_ok_and(|owner| *owner == head.job.owner);
    let mut seen = head(parts)?;
    let mut pause_ms = FIRST_PAUSE_MS;
    let mut looked = false;
    while let Some(head) = seen.filter(|head| is_owners(head) && !head.job.status().is_ended()) {
        let left_ms = deadline.since((call.clock)());
        if left_ms == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(pause_ms.min(left_ms))).await;
        pause_ms = (pause_ms * 3 / 2).min(MAX_PAUSE_MS);
        looked = true;
        seen = store.get(plans::get_head(&config.tables, head.job.id)).await?.map(head_of_row).transpose()?;
    }
    Ok(looked)
}

async fn read_parts(ledger: &Ledger, id: JobId) -> Result<Vec<AttributeMap>, StoreError> {
    let mut parts = Vec::new();
    let mut from = None;
    loop {
        let plan = plans::get_job(&ledger.config.tables, id).set_exclusive_start_key(from);
        let page = ledger.store.query(plan).await?;
        parts.extend(page.items.unwrap_or_default());
        from = page.last_evaluated_key;
        if from.is_none() {
            return Ok(parts);
        }
    }
}

fn part<'a>(parts: &'a [AttributeMap], name: &str) -> Option<&'a AttributeMap> {
    parts
        .iter()
        .find(|item| item.get(PART).and_then(|part| part.as_s().ok()).is_some_and(|part| part == name))
}

fn head(parts: &[AttributeMap]) -> Result<Option<Head>, StoreError> {
    Ok(part(parts, HEAD).cloned().map(head_of_row).transpose()?)
}

fn input(parts: &[AttributeMap], head: &Head) -> Result<Input, StoreError> {
    let item = head.input.and_then(|name| part(parts, &format!("{INPUT}{name}")));
    Ok(item.map(decode_part).transpose()?.unwrap_or_default())
}

fn output(parts: &[AttributeMap], head: &Head) -> Result<Output, StoreError> {
    let item = head.output.and_then(|name| part(parts, &format!("{OUTPUT}{name}")));
    Ok(item.map(decode_part).transpose()?.unwrap_or_default())
}
