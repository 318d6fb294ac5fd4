//! `POST /v1/types/{type}/pause`: stops handing out jobs of a type. They queue, and those that run go on.

use jobledger::domain::TypeSettings;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{body, named_type};

/// `POST /v1/types/{type}/pause`.
#[derive(Debug)]
pub struct PauseType;

impl Route for PauseType {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::post("/v1/types/{type}/pause");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let kind = named_type(&mut call)?;
        let stored = Some(call.backend.types().pause(&owner, &kind, call.now).await?);
        Ok(Answer::ok(&body(&kind, stored.as_ref(), &TypeSettings::default())))
    }
}
