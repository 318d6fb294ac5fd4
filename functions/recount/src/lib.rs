//! `POST /v1/admin/recount`: counts anew. It makes the job that does it and answers; `run-tasks` does it.

use jobledger::Function;
use jobledger::domain::{Fingerprint, Head, IdempotencyKey, JobId};
use jobledger::dynamo::schema::KEY;
use jobledger::dynamo::{Ledger, plans};
use jobledger::http::{
    Access, Answer, Call, Fields, JobView, Problem, Route, Scope, flag, function, integer, text,
};
use jobledger::recount::{Asked, Begun, MAX_SETTLE_SECONDS, RecountRequest, SETTLE_SECONDS, begin};
use lambda_http::http::StatusCode;

/// The function.
pub const FUNCTION: Function = function::<Recount>();

/// Longest body: three short fields.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// `POST /v1/admin/recount`.
#[derive(Debug)]
pub struct Recount;

impl Route for Recount {
    const NAME: &'static str = "recount";
    const ACCESS: Access = Access::Scope(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key_id = call.caller.as_ref().map(|caller| caller.key_id.clone()).unwrap_or_default();
        let key = call.idempotency_key()?;
        call.query.finish(Some(()))?;
        let (request, fingerprint) = parse(call.body)?;
        let id = match &key {
            Some(key) => JobId::of_idempotency_key(&owner, key),
            None => JobId::from(call.fresh),
        };
        refuse_kept_key(call.backend, id, key.as_ref()).await?;
        let asked = Asked {
            id,
            owner,
            key_id: &key_id,
            fresh: call.fresh,
            now: call.now,
            trace_id: call.trace_id(),
            fingerprint,
            request,
        };
        match begin(call.backend, asked).await? {
            Begun::New(head) => Ok(accepted(&head)),
            Begun::There(head) if head.fingerprint == fingerprint => Ok(accepted(&head)),
            Begun::There(_) => Err(Problem::idempotency_key_reused()),
        }
    }
}

/// Reads what is asked for; no body asks for nothing special.
fn parse(body: &[u8]) -> Result<(RecountRequest, Fingerprint), Problem> {
    let mut fields = Fields::parse(if body.is_empty() { b"{}" } else { body })?;
    let fingerprint = fields.fingerprint();
    let repair = fields.optional("repair", flag).unwrap_or(false);
    let owner = fields.optional("owner", text);
    let settle_seconds = fields.optional("settle_seconds", |raw| integer(raw, 0..=MAX_SETTLE_SECONDS));
    let settle_seconds = settle_seconds.unwrap_or(SETTLE_SECONDS);
    let request = fields.finish(Some(RecountRequest { repair, owner, settle_seconds }));
    Ok((request.map_err(Problem::invalid_body)?, fingerprint))
}

fn accepted(head: &Head) -> Answer {
    let location = format!("/v1/jobs/{}", head.job.id);
    Answer::json(StatusCode::ACCEPTED, &JobView::from(&head.job)).with("location", location)
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
