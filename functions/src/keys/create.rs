//! `POST /v1/admin/keys`: creates a key. Its text is in this answer and nowhere else.

use jobledger::Environment;
use jobledger::http::{Access, Answer, Call, KeyView, Problem, Route, RouteKey, Scope};
use jobledger::store::Ledger;
use lambda_http::http::StatusCode;
use serde::Serialize;

use super::{MAX_BODY_BYTES, parse};

#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    view: KeyView<'a>,
    /// The only time that anybody sees it.
    key: &'a str,
}

/// `POST /v1/admin/keys`.
#[derive(Debug)]
pub struct CreateKey;

impl Route for CreateKey {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::post("/v1/admin/keys");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        call.refuse_owner("must be left out: the body says whose key it is");
        call.query.clone().finish(Some(()))?;
        let new = parse::new_key(call.body, call.now)?;
        let made_with = call.caller()?.key.key_id.clone();
        let secret = Environment::fresh_secret();
        let (key, text) = call.backend.keys().create(new, &secret, Some(made_with), call.now).await?;
        call.audit("key.made", &key.access.key_id, Some(&key.access.owner), &key.view(call.now));
        let made = Made { view: key.view(call.now), key: &text };
        Ok(Answer::json(StatusCode::CREATED, &made)
            .with("location", format!("/v1/admin/keys/{}", key.access.key_id))
            .with("cache-control", "no-store"))
    }
}
