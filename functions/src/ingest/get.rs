//! `GET /v1/admin/ingest`: which service this is, so that a sender knows whether it has what was sent before.

use jobledger::domain::Owner;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;
use serde::Serialize;

use super::jobs::NAME;

/// `GET /v1/admin/ingest`.
#[derive(Debug)]
pub struct GetIngest;

#[derive(Serialize)]
struct Body<'a> {
    service_id: String,
    owner: &'a Owner,
}

impl Route for GetIngest {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::get("/v1/admin/ingest");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        call.query.finish(Some(()))?;
        let service_id = call.backend.service_id(call.fresh).await?.to_string();
        Ok(Answer::ok(&Body { service_id, owner: call.owner()? }))
    }
}
