//! `GET /v1/jobs`: a page of a list, and how many jobs the whole list has.

use jobledger::Function;
use jobledger::http::{
    Access, Answer, Call, Cursor, FieldError, Page, Problem, Route, RouteKey, Scope, Window, function,
};
use jobledger::lists::From;
use jobledger::store::Ledger;

mod parse;

/// The function.
pub const FUNCTION: Function = function::<ListJobs>();

/// The route's path, for links to further pages.
const PATH: &str = "/v1/jobs";

/// `GET /v1/jobs`.
#[derive(Debug)]
pub struct ListJobs;

impl Route for ListJobs {
    const NAME: &'static str = "list-jobs";
    const KEY: RouteKey = RouteKey::get("/v1/jobs");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let (query, window) = parse::parse(call.owner()?.clone(), call.query.clone(), call.now)?;
        let cursor = match &window {
            Window::Cursor { cursor, .. } => Some(
                Cursor::decode(cursor, &query)
                    .map_err(|invalid| Problem::invalid_query(vec![FieldError::new("cursor", invalid)]))?,
            ),
            Window::Offset { .. } | Window::Page { .. } => None,
        };
        let from = match &cursor {
            Some(cursor) => From::After(&cursor.after),
            None => From::Offset(window.offset().unwrap_or(0)),
        };
        let limit = usize::try_from(window.limit()).unwrap_or(usize::MAX);
        let listing = call.backend.jobs().list(&query, from, limit).await;
        let listing = listing.map_err(|error| window.problem(error))?;
        let next_cursor = listing.next.map(|after| Cursor { after }.encode(&query));
        let page = Page {
            window: &window,
            jobs: &listing.jobs,
            total: listing.total,
            next_cursor,
            acts_for: call.acts_for(),
        };
        Ok(page.answer(PATH, call.query.pairs(), call.now))
    }
}
