//! `DELETE /v1/records/{kind}/{id}`: removes a record.

use jobledger::domain::{RecordId, RecordKind};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;
use serde::Serialize;

use super::named_record;

#[derive(Serialize)]
struct Removal {
    kind: RecordKind,
    id: RecordId,
    deleted: bool,
}

/// `DELETE /v1/records/{kind}/{id}`.
#[derive(Debug)]
pub struct DeleteRecord;

impl Route for DeleteRecord {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::delete("/v1/records/{kind}/{id+}");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let (kind, id) = named_record(&mut call)?;
        call.backend.records().delete(call.owner()?, &kind, &id).await?;
        Ok(Answer::ok(&Removal { kind, id, deleted: true }))
    }
}
