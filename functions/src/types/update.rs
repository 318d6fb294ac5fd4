//! `PATCH /v1/types/{type}`: changes some settings of a type. A field that is left out stays; a field that is null gets its
//! default.

use jobledger::domain::TypeSettings;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{MAX_BODY_BYTES, body, named_type, parse};

/// `PATCH /v1/types/{type}`.
#[derive(Debug)]
pub struct UpdateType;

impl Route for UpdateType {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::patch("/v1/types/{type}");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let kind = named_type(&mut call)?;
        let change = parse::patch(call.body)?;
        let stored = call.backend.types().change(&owner, &kind, &change, call.now).await?;
        Ok(Answer::ok(&body(&kind, Some(&stored), &TypeSettings::default())))
    }
}
