//! `POST /v1/types/{type}/resume`: hands out jobs of a type again.

use jobledger::domain::TypeSettings;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{body, named_type};

/// `POST /v1/types/{type}/resume`.
#[derive(Debug)]
pub struct ResumeType;

impl Route for ResumeType {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::post("/v1/types/{type}/resume");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let kind = named_type(&mut call)?;
        let stored = call.backend.types().resume(&owner, &kind, call.now).await?;
        Ok(Answer::ok(&body(&kind, stored.as_ref(), &TypeSettings::default())))
    }
}
