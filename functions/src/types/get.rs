//! `GET /v1/types/{type}`: how jobs of a type are worked on. A type that was never set has the defaults.

use jobledger::domain::TypeSettings;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{body, named_type};

/// `GET /v1/types/{type}`.
#[derive(Debug)]
pub struct GetType;

impl Route for GetType {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/types/{type}");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let kind = named_type(&mut call)?;
        let stored = call.backend.types().get(&owner, &kind).await?;
        Ok(Answer::ok(&body(&kind, stored.as_ref(), &TypeSettings::default())))
    }
}
