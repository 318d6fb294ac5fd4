//! `GET /v1/records/{kind}/{id}`: one record.

use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{body, named_record};

/// `GET /v1/records/{kind}/{id}`.
#[derive(Debug)]
pub struct GetRecord;

impl Route for GetRecord {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/records/{kind}/{id+}");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let (kind, id) = named_record(&mut call)?;
        let record = call.backend.records().get(call.owner()?, &kind, &id).await?;
        Ok(Answer::ok(&body(&record)))
    }
}
