//! `PATCH /v1/admin/keys/{key_id}`: changes a key. A field that is left out stays; a field that is null is removed.

use jobledger::domain::AccessKey;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{MAX_BODY_BYTES, named_key, parse};

/// `PATCH /v1/admin/keys/{key_id}`.
#[derive(Debug)]
pub struct UpdateKey;

impl Route for UpdateKey {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::patch("/v1/admin/keys/{key_id}");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let key_id = named_key(&mut call)?;
        let decide = |key: &AccessKey| parse::change(call.body, key, call.now);
        let after = call.backend.keys().change(&key_id, decide).await?;
        let after = after.view(call.now);
        call.audit("key.changed", &key_id, Some(after.owner), &after);
        Ok(Answer::ok(&after))
    }
}
