//! `PUT /v1/types/{type}`: says how jobs of a type are worked on.

use jobledger::domain::{SettingsChange, TypeSettings};
use jobledger::http::{Access, Answer, Call, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;

use super::{MAX_BODY_BYTES, body, named_type, parse};

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
        // A field that is left out is as if nobody had decided it.
        let settings = TypeSettings::default().after(parse::put(call.body, &kind)?);
        let change = SettingsChange::from(settings);
        let stored = call.backend.types().change(&owner, &kind, &change, call.now).await?;
        Ok(Answer::ok(&body(&kind, Some(&stored), &TypeSettings::default())))
    }
}
