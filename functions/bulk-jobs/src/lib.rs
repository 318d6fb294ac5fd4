//! `POST /v1/jobs/bulk`: one change to many jobs. It makes the job that does it and answers; `run-tasks` does it.

use jobledger::Function;
use jobledger::bulk::{Bulk, BulkState};
use jobledger::domain::{BULK, Head, IdempotencyKey, Job, JobId, Labels, Owner, State, TypeName};
use jobledger::dynamo::schema::{INPUT, KEY};
use jobledger::dynamo::{AttributeMap, Corrupt, Ledger, StoreError, encode_part, part_bytes, plans};
use jobledger::http::{Access, Answer, Call, JobView, Problem, Route, Scope, function};
use jobledger::tasks::begin;
use lambda_http::http::StatusCode;

mod parse;

use parse::Request;

/// The function.
pub const FUNCTION: Function = function::<BulkJobs>();

/// Longest body: a filter of a hundred types of 64 letters, many times over.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `POST /v1/jobs/bulk`.
#[derive(Debug)]
pub struct BulkJobs;

impl Route for BulkJobs {
    const NAME: &'static str = "bulk-jobs";
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key_id = call.caller.as_ref().map(|caller| caller.key_id.clone()).unwrap_or_default();
        let key = call.idempotency_key()?;
        call.query.finish(Some(()))?;
        let request = Request::parse(call.body, &owner)?;
        let id = match &key {
            Some(key) => JobId::of_idempotency_key(&owner, key),
            None => JobId::from(call.fresh),
        };
        let mut head = head(id, owner, &request, &call).await?;
        let json = request.input.to_json().map_err(|error| Problem::too_large(error.to_string()))?;
        let input = encode_part(id, &input_part(&head), json);
        head.job.bytes = part_bytes(&input);
        let (written, claimed) =
            tokio::join!(write_input(call.backend, input), refuse_kept_key(call.backend, id, key.as_ref()),);
        let begun = match claimed.and(written.map_err(Problem::from)) {
            Ok(()) => {
                let state = BulkState::new(request.action, request.filter);
                begin::<Bulk>(call.backend, &head, &key_id, &state).await.map_err(Problem::from)
            }
            Err(problem) => Err(problem),
        };
        let Job { owner, .. } = &head.job;
        match begun {
            Ok(None) => {
                let action = request.action.as_str();
                tracing::info!(%id, %owner, key_id, action, "a bulk action begins");
                Ok(accepted(&head))
            }
            Ok(Some(existing)) => {
                drop_input(call.backend, &head).await;
                if existing.fingerprint == head.fingerprint {
                    return Ok(accepted(&existing));
                }
                Err(Problem::idempotency_key_reused())
            }
            Err(problem) => {
                // Whether it began is not known when the store did not say: then the input may be somebody's.
                if problem.status() != StatusCode::SERVICE_UNAVAILABLE {
                    drop_input(call.backend, &head).await;
                }
                Err(problem)
            }
        }
    }
}

fn accepted(head: &Head) -> Answer {
    let location = format!("/v1/jobs/{}", head.job.id);
    Answer::json(StatusCode::ACCEPTED, &JobView::from(&head.job)).with("location", location)
}

/// The job that shows the work: running from the start, so that no worker can take it.
async fn head(id: JobId, owner: Owner, request: &Request, call: &Call<'_, Ledger>) -> Result<Head, Problem> {
    let (now, config) = (call.now, &call.backend.config);
    let shards = call.backend.shards_to_write().await?;
    Ok(Head {
        job: Job {
            id,
            owner,
            kind: TypeName::try_from(BULK).map_err(|error| Corrupt::new("type bulk", error))?,
            external_id: None,
            name: None,
            priority: 0,
            labels: Labels::default(),
            created_at: now,
            updated_at: now,
            attempt: 1,
            max_attempts: 1,
            timeout_seconds: None,
            cost: None,
            trace_id: call.trace_id(),
            progress: None,
            bytes: 0,
            state: State::Running { started_at: now, phase: None },
        },
        shard: id.shard(shards),
        fingerprint: request.fingerprint,
        written_by: call.fresh,
        ttl_hours: config.default_ttl_hours,
        input: Some(call.fresh),
        output: None,
    })
}

/// A key that is kept beside an `external_id` stands for another request.
async fn refuse_kept_key(ledger: &Ledger, id: JobId, key: Option<&IdempotencyKey>) -> Result<(), Problem> {
    if key.is_none() {
        return Ok(());
    }
    let kept = plans::get_part(&ledger.config.tables, id, KEY).consistent_read(true);
    match ledger.store.get(kept).await? {
        Some(_) => Err(Problem::idempotency_key_reused()),
        None => Ok(()),
    }
}

/// Writes what was asked for, before the head that decides whether there is a job.
async fn write_input(ledger: &Ledger, input: AttributeMap) -> Result<(), StoreError> {
    ledger.store.put(plans::put_part(&ledger.config.tables, input)).await.map(drop)
}

/// Removes what was written for a job that then did not come to be. If that fails, only space is lost.
async fn drop_input(ledger: &Ledger, head: &Head) {
    let plan = plans::delete_part(&ledger.config.tables, head.job.id, &input_part(head));
    if let Err(error) = ledger.store.delete(plan).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "an input without a job was left behind");
    }
}

fn input_part(head: &Head) -> String {
    format!("{INPUT}{}", head.written_by)
}
