//! `DELETE /v1/admin/keys/{key_id}`: revokes a key. A second call changes nothing. A key that cannot be read is revoked, too.

use jobledger::access::Revocation;
use jobledger::domain::{KeyId, Timestamp};
use jobledger::http::{Access, Answer, Call, KeyView, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;
use serde::Serialize;

use super::named_key;

/// A key that was revoked.
#[derive(Serialize)]
#[serde(untagged)]
enum Revoked<'a> {
    Key(KeyView<'a>),
    /// One that cannot be read.
    Remains {
        key_id: &'a KeyId,
        revoked_at: Option<Timestamp>,
        active: bool,
    },
}

/// `DELETE /v1/admin/keys/{key_id}`.
#[derive(Debug)]
pub struct DeleteKey;

impl Route for DeleteKey {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::delete("/v1/admin/keys/{key_id}");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let key_id = named_key(&mut call)?;
        let Revocation { key, revoked_at, is_new } =
            call.backend.keys().revoke(&key_id, call.fresh, call.now).await?;
        let owner = key.as_ref().map(|key| &key.access.owner);
        let revoked = match &key {
            Some(key) => Revoked::Key(key.view(call.now)),
            None => Revoked::Remains { key_id: &key_id, revoked_at, active: false },
        };
        if is_new {
            call.audit("key.revoked", &key_id, owner, &revoked);
        }
        Ok(Answer::ok(&revoked))
    }
}
