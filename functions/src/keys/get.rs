//! `GET /v1/admin/keys/{key_id}`: one key.

use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::named_key;

/// `GET /v1/admin/keys/{key_id}`.
#[derive(Debug)]
pub struct GetKey;

impl Route for GetKey {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/admin/keys/{key_id}");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let key_id = named_key(&mut call)?;
        Ok(Answer::ok(&call.backend.keys().get(&key_id).await?.view(call.now)))
    }
}
