//! `POST /v1/admin/recount`: counts anew. It writes a job with its task, and answers.
//! `run-background-tasks` then counts.

use jobledger::Function;
use jobledger::background::Asked;
use jobledger::background::recount::{MAX_SETTLE_SECONDS, RecountRequest, SETTLE_SECONDS, begin};
use jobledger::domain::Fingerprint;
use jobledger::http::{
    Access, Answer, Call, Fields, Problem, Route, RouteKey, Scope, flag, function, integer, text,
};
use jobledger::store::Ledger;

/// The function.
pub const FUNCTION: Function = function::<Recount>();

/// Longest body: three short fields.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// `POST /v1/admin/recount`.
#[derive(Debug)]
pub struct Recount;

impl Route for Recount {
    const NAME: &'static str = "recount";
    const KEY: RouteKey = RouteKey::post("/v1/admin/recount");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let key = call.idempotency_key()?;
        call.query.finish(Some(()))?;
        let (request, fingerprint) = parse(call.body)?;
        let asked = Asked::of(&call, owner, key, fingerprint, request.input()?).await?;
        let begun = begin(call.backend, &asked, &request).await?;
        let answer = asked.answer(&begun)?;
        call.audit(request.action(), &asked.id, Some(&asked.owner), &request);
        Ok(answer)
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
