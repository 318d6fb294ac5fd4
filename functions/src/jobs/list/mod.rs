//! `GET /v1/jobs`: a page of a list, and how many jobs the whole list has.

use jobledger::Function;
use jobledger::domain::Job;
use jobledger::http::{
    Access, Answer, Call, Cursor, FieldError, Page, Problem, Route, Scope, Window, function,
};
use jobledger::lists::{From, list};
use jobledger::store::{Ledger, job_of_row, with_progress};

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
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let mut asked = call.query.pairs().to_vec();
        let acts_for = call.caller.as_ref().and_then(|caller| caller.acts_for.as_ref());
        asked.extend(acts_for.map(|owner| ("owner".to_owned(), owner.to_string())));
        let (query, window) = parse::parse(call.owner()?.clone(), call.query.clone())?;
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
        let listing = list(call.backend, &query, from, limit).await?;
        let rows = listing.rows.into_iter();
        let mut jobs: Vec<Job> = rows.map(|row| job_of_row(row.item)).collect::<Result<_, _>>()?;
        let Ledger { store, config, .. } = call.backend;
        with_progress(store, &config.tables, &mut jobs).await?;
        let next_cursor = listing.next.map(|after| Cursor { after }.encode(&query));
        let total = (listing.total.count, listing.total.kind());
        let page = Page { window: &window, jobs: &jobs, total, next_cursor };
        Ok(page.answer(PATH, &asked, call.now))
    }
}
