//! `PUT /v1/types/{type}`: says how jobs of a type are worked on.

use jobledger::domain::TypeSettings;
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{body, named_type, parse};

/// Longest body: the most stages, with the longest names, with white space, and the other fields.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// `PUT /v1/types/{type}`.
#[derive(Debug)]
pub struct PutType;

impl Route for PutType {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::put("/v1/types/{type}");
    const ACCESS: Access = Access::Scope(Scope::Write);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let kind = named_type(&mut call)?;
        let settings = parse::settings(call.body)?;
        let stored = call.backend.types().put(&owner, &kind, &settings, call.now).await?;
        Ok(Answer::ok(&body(&kind, Some(&stored), &TypeSettings::default())))
    }
}
