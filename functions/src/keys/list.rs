//! `GET /v1/admin/keys`: keys in the order of their ids, with those that ended within the last 90 days.

use jobledger::access::KeyPage;
use jobledger::http::{Access, Answer, Call, Cursor, KeyView, Problem, Route, RouteKey, Scope, limit};
use jobledger::store::Ledger;
use serde::Serialize;

use super::MAX_PAGE;

/// Keys of one page, where nobody says how many.
const DEFAULT_PAGE: usize = 50;

#[derive(Serialize)]
struct Page<'a> {
    keys: Vec<KeyView<'a>>,
    has_more: bool,
    next_cursor: Option<String>,
}

/// `GET /v1/admin/keys`.
#[derive(Debug)]
pub struct ListKeys;

impl Route for ListKeys {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/admin/keys");
    const ACCESS: Access = Access::ScopeNow(Scope::Admin);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let of = call.caller()?.acts_for.clone();
        let bound_to = format!("keys of {of:?}");
        let limit = call.query.optional("limit", limit(MAX_PAGE));
        let cursor = call.query.optional("cursor", |text: &str| Cursor::unseal(text, &bound_to));
        call.query.clone().finish(Some(()))?;
        let after = cursor.map(|cursor| cursor.after);
        let limit = limit.unwrap_or(DEFAULT_PAGE);
        let KeyPage { keys, next } = call.backend.keys().page(of.as_ref(), after, limit).await?;
        let keys = keys.iter().map(|key| key.view(call.now)).collect();
        let next_cursor = next.map(|after| Cursor { after }.seal(&bound_to));
        Ok(Answer::ok(&Page { keys, has_more: next_cursor.is_some(), next_cursor }))
    }
}
