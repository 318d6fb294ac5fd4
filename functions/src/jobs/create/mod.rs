//! `POST /v1/jobs`: creates a job. One conditional write decides; what the job is given is written before it.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::Function;
use jobledger::counts::{mean_run_ms, used_bytes};
use jobledger::domain::{Head, IdempotencyKey, JobId, Status, Timestamp};
use jobledger::http::{Access, Answer, Call, Problem, Route, Scope, Wait, function};
use jobledger::store::pages::READS_AT_ONCE;
use jobledger::store::schema::{HEAD, KEY};
use jobledger::store::{
    AttributeMap, Ledger, StoreError, Written, encode_part, head_of_row, input_part, part_bytes, plans,
};
use lambda_http::http::StatusCode;
use serde::Serialize;

mod parse;
mod wait;

use parse::NewJob;

/// The function.
pub const FUNCTION: Function = function::<CreateJob>();

/// Longest body: 256 KiB of payload and metadata, written with as much white space again, and the other fields.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How far a job's position in its queue is counted.
const MAX_POSITION: i32 = 1_000;

/// `POST /v1/jobs`.
#[derive(Debug)]
pub struct CreateJob;

#[derive(Serialize)]
struct Body {
    job_id: JobId,
    status: Status,
    position_in_queue: Option<u64>,
    estimated_duration_seconds: Option<u64>,
}

impl Route for CreateJob {
    const NAME: &'static str = "create-job";
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key = call.idempotency_key()?;
        let preferred = call.prefer_wait()?;
        call.query.finish(Some(()))?;
        let Ledger { store, config, .. } = call.backend;
        let new = NewJob::parse(call.body, config.default_ttl_hours)?;
        let input = new.input.to_json().map_err(|error| Problem::too_large(error.to_string()))?;
        let id = match (&new.external_id, &key) {
            (Some(external_id), _) => JobId::of_external_id(&owner, external_id),
            (None, Some(key)) => JobId::of_idempotency_key(&owner, key),
            (None, None) => JobId::from(call.fresh),
        };
        let mut head = new.head(id, owner, &call, call.backend.shards_to_write().await?);
        let input = head.input.map(|name| encode_part(id, &input_part(name), input));
        head.job.bytes = input.as_ref().map_or(0, part_bytes);
        // All are waited for, so that an input is not still on its way when it is removed again.
        let (read, written, claimed) = tokio::join!(
            async {
                let mean = mean_run_ms(store, &config.tables, &head.job.owner, &head.job.kind);
                let settings = call.backend.type_settings(&head.job.owner, &head.job.kind);
                tokio::try_join!(count_ahead(call.backend, &head, call.now), mean, settings)
            },
            write_input(call.backend, input),
            async {
                // Before the key is kept: one that came with what was refused still stands for nothing.
                check_room(&call, &head).await?;
                match &key {
                    Some(key) => claim_key(call.backend, &head, key, call.now).await,
                    None => Ok(()),
                }
            },
        );
        let (ahead, mean, settings) =
            match claimed.and(written.map_err(Problem::from)).and(read.map_err(Problem::from)) {
                Ok(read) => read,
                Err(problem) => {
                    call.backend.drop_parts(&head, None).await;
                    return Err(problem);
                }
            };
        if let (None, Some(max_attempts)) = (new.max_attempts, settings.max_attempts) {
            head.job.max_attempts = max_attempts;
        }
        let (status, head, ahead) = match store.put(plans::create_head(&config.tables, &head)?).await? {
            Written::Done(_) => (StatusCode::CREATED, head, ahead),
            Written::Refused(item) => {
                let existing = head_of_row(item.ok_or_else(Problem::job_not_found)?)?;
                if existing.is_same_write(&head) {
                    (StatusCode::CREATED, existing, ahead)
                } else {
                    call.backend.drop_parts(&head, None).await;
                    same_job(&head, &existing, key.is_some())?;
                    let ahead = count_ahead(call.backend, &existing, call.now).await?;
                    (StatusCode::OK, existing, ahead)
                }
            }
        };
        let location = format!("/v1/jobs/{}", head.job.id);
        if let Some(wait) = wait::wait_of(preferred, settings.mode)
            && let Some(whole) = wait::ended(&call, &head, wait).await
        {
            let mut answer = Answer::ok(&whole.view((call.clock)()));
            if let Some(Wait { seconds }) = preferred {
                answer = answer.with("preference-applied", format!("wait={seconds}"));
            }
            return Ok(answer.with("location", location));
        }
        let body = Body {
            job_id: head.job.id,
            status: head.job.status(),
            position_in_queue: ahead.map(|ahead| ahead + 1),
            estimated_duration_seconds: mean.map(|millis| millis.div_ceil(1_000)),
        };
        Ok(Answer::json(status, &body).with("location", location))
    }
}

/// Refuses where the owner keeps too much for one more job. One that is there already, for the same request, is no more.
async fn check_room(call: &Call<'_, Ledger>, head: &Head) -> Result<(), Problem> {
    if call.storage_quota_bytes().is_none() {
        return Ok(());
    }
    let checked = call.check_room(used_bytes(call.backend, &head.job.owner).await?);
    let Err(problem) = checked else { return Ok(()) };
    if head.job.id == JobId::from(call.fresh) {
        return Err(problem);
    }
    let Ledger { store, config, .. } = call.backend;
    let there = store.get(plans::get_head(&config.tables, head.job.id).consistent_read(true)).await?;
    match there.map(head_of_row).transpose()? {
        Some(there) if there.fingerprint == head.fingerprint => Ok(()),
        Some(_) | None => Err(problem),
    }
}

/// Refuses where the job that has this id was created by another request.
fn same_job(wanted: &Head, existing: &Head, by_key: bool) -> Result<(), Problem> {
    if wanted.fingerprint == existing.fingerprint {
        return Ok(());
    }
    Err(match (&wanted.job.external_id, by_key) {
        (None, true) => Problem::idempotency_key_reused(),
        (Some(_), _) | (None, false) => Problem::external_id_taken(existing.job.status()),
    })
}

/// Makes sure that a key never stood for another request, whether that had an `external_id` or not.
///
/// Without one, the key gives the id, and creating the job decides; with one, the key is kept by itself.
async fn claim_key(
    ledger: &Ledger,
    head: &Head,
    key: &IdempotencyKey,
    now: Timestamp,
) -> Result<(), Problem> {
    let Ledger { store, config, .. } = ledger;
    let id = JobId::of_idempotency_key(&head.job.owner, key);
    let by_itself = head.job.external_id.is_some();
    let elsewhere =
        plans::get_part(&config.tables, id, if by_itself { HEAD } else { KEY }).consistent_read(true);
    if store.get(elsewhere).await?.is_some() {
        return Err(Problem::idempotency_key_reused());
    }
    if by_itself {
        let kept = plans::keep_key(&config.tables, id, &head.fingerprint, now);
        if let Written::Refused(_) = store.put(kept).await? {
            return Err(Problem::idempotency_key_reused());
        }
    }
    Ok(())
}

/// Writes what the job is given, before the head that decides whether there is a job.
async fn write_input(ledger: &Ledger, input: Option<AttributeMap>) -> Result<(), StoreError> {
    if let Some(input) = input {
        ledger.store.put(plans::put_part(&ledger.config.tables, input)).await?;
    }
    Ok(())
}

/// How many jobs of its type go before this one; `None`: it does not wait, or more than are counted do.
async fn count_ahead(ledger: &Ledger, head: &Head, now: Timestamp) -> Result<Option<u64>, StoreError> {
    if head.job.status() != Status::Queued {
        return Ok(None);
    }
    let source = ledger.source().await?;
    let plans = (0..source.shards)
        .flat_map(|shard| plans::queue::count_ahead(source.tables, &head.job, shard, now, MAX_POSITION));
    let counts = plans.map(|plan| async {
        let page = source.store.query(plan).await?;
        Ok::<_, StoreError>((page.last_evaluated_key.is_none()).then_some(page.count))
    });
    let counts: Vec<Option<i32>> = stream::iter(counts).buffered(READS_AT_ONCE).try_collect().await?;
    let ahead: Option<i32> = counts.into_iter().sum();
    Ok(ahead.filter(|ahead| *ahead < MAX_POSITION).and_then(|ahead| u64::try_from(ahead).ok()))
}
