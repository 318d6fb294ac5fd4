//! `GET /v1/types`: the types of an owner, with their settings and how their queues stand.

use std::collections::BTreeMap;

use jobledger::domain::{Status, Timestamp, TypeSettings, Wait};
use jobledger::http::{Access, Answer, Call, Cursor, Problem, Route, RouteKey, Scope, limit};
use jobledger::queue::{TypeOverview, TypePage};
use jobledger::store::Ledger;
use serde::Serialize;

use super::{Body, body};

/// Most types of one page.
const MAX_PAGE: usize = 100;
/// Types of one page if nobody says how many.
const DEFAULT_PAGE: usize = 50;

/// `GET /v1/types`.
#[derive(Debug)]
pub struct ListTypes;

#[derive(Serialize)]
struct Page<'a> {
    types: Vec<View<'a>>,
    has_more: bool,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    settings: Body<'a>,
    by_status: BTreeMap<Status, u64>,
    #[serde(flatten)]
    waits: BTreeMap<&'static str, u64>,
    due_kind: &'static str,
    oldest_wait_seconds: Option<u64>,
}

impl Route for ListTypes {
    const NAME: &'static str = super::NAME;
    const KEY: RouteKey = RouteKey::get("/v1/types");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        let bound_to = format!("types of {owner}");
        let limit = call.query.optional("limit", limit(MAX_PAGE));
        let cursor = call.query.optional("cursor", |text: &str| Cursor::unseal(text, &bound_to));
        call.query.clone().finish(Some(()))?;
        let after = cursor.map(|cursor| cursor.after);
        let limit = limit.unwrap_or(DEFAULT_PAGE);
        let TypePage { types, next } =
            call.backend.jobs().types(&owner, after.as_deref(), limit, call.now).await?;
        let default = TypeSettings::default();
        let types = types.iter().map(|of| view(of, &default, call.now)).collect();
        let next_cursor = next.map(|after| Cursor { after }.seal(&bound_to));
        Ok(Answer::ok(&Page { types, has_more: next_cursor.is_some(), next_cursor }))
    }
}

fn view<'a>(of: &'a TypeOverview, default: &'a TypeSettings, now: Timestamp) -> View<'a> {
    View {
        settings: body(&of.kind, of.stored.as_ref(), default),
        by_status: of.counts.iter().collect(),
        waits: of.waits.iter().map(|(wait, count): &(Wait, u64)| (wait.as_str(), *count)).collect(),
        due_kind: if of.is_exact { "exact" } else { "estimate" },
        oldest_wait_seconds: of.oldest_due.map(|due| now.since(due) / 1_000),
    }
}
