//! `GET /v1/jobs`: a page of a list, and how many jobs the whole list has.

use jobledger::Function;
use jobledger::domain::{Job, JobQuery};
use jobledger::dynamo::pages::{ListRow, read_rows};
use jobledger::dynamo::ranges::{Bounds, ranges};
use jobledger::dynamo::{Ledger, StoreError, job_of_row};
use jobledger::http::{
    Access, Answer, Call, Cursor, FieldError, Page, Problem, Route, Scope, Window, function,
};
use jobledger::tally::{locate, total};

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
        let asked = call.query.pairs().to_vec();
        let (query, window) = parse::parse(call.owner()?.clone(), call.query.clone())?;
        let (rows, total) = match &window {
            Window::Cursor { cursor, .. } => {
                let cursor = Cursor::decode(cursor, &query)
                    .map_err(|invalid| Problem::invalid_query(vec![FieldError::new("cursor", invalid)]))?;
                from_cursor(call.backend, &query, &cursor, window.limit()).await?
            }
            Window::Offset { .. } | Window::Page { .. } => match window.offset().unwrap_or(0) {
                0 => first(call.backend, &query, window.limit()).await?,
                offset => at_offset(call.backend, &query, offset, window.limit()).await?,
            },
        };
        let limit = usize::try_from(window.limit()).unwrap_or(usize::MAX);
        let next_cursor = rows.get(limit).and_then(|_| rows.get(limit - 1)).map(|last| {
            let cursor = Cursor { after: last.created.clone() };
            cursor.encode(&query)
        });
        let jobs: Vec<Job> =
            rows.into_iter().take(limit).map(|row| job_of_row(row.item)).collect::<Result<_, _>>()?;
        let page = Page { window: &window, jobs: &jobs, total, next_cursor };
        Ok(page.answer(PATH, &asked))
    }
}

/// The first page and the total, read side by side. A list that ends on this page knows its total by itself.
async fn first(ledger: &Ledger, query: &JobQuery, limit: u32) -> Result<(Vec<ListRow>, u64), StoreError> {
    let bounds = Bounds::of(query.created);
    let (rows, total) = tokio::try_join!(
        read(ledger, query, &bounds, 0, limit),
        total(&ledger.store, &ledger.config, query)
    )?;
    let seen = count(&rows);
    let total = if seen <= u64::from(limit) { seen } else { total.max(seen) };
    Ok((rows, total))
}

/// A page after a cursor, and the total, read side by side.
async fn from_cursor(
    ledger: &Ledger,
    query: &JobQuery,
    cursor: &Cursor,
    limit: u32,
) -> Result<(Vec<ListRow>, u64), StoreError> {
    let bounds = Bounds::of(query.created).after(&cursor.after, query.order);
    let (rows, total) = tokio::try_join!(
        read(ledger, query, &bounds, 0, limit),
        total(&ledger.store, &ledger.config, query)
    )?;
    let total = total.max(count(&rows));
    Ok((rows, total))
}

/// A page at an offset: the buckets say where it begins, and how many rows to pass over there.
async fn at_offset(
    ledger: &Ledger,
    query: &JobQuery,
    offset: u64,
    limit: u32,
) -> Result<(Vec<ListRow>, u64), StoreError> {
    let place = locate(&ledger.store, &ledger.config, query, offset).await?;
    let Some(begin) = place.begin else { return Ok((Vec::new(), place.total)) };
    let rows = read(ledger, query, &Bounds::of(begin.created), begin.skip, limit).await?;
    let total = if rows.is_empty() { place.total } else { place.total.max(offset + count(&rows)) };
    Ok((rows, total))
}

/// Reads one row more than a page has: it tells whether more follow.
async fn read(
    ledger: &Ledger,
    query: &JobQuery,
    bounds: &Bounds,
    skip: u64,
    limit: u32,
) -> Result<Vec<ListRow>, StoreError> {
    let Ledger { store, config, .. } = ledger;
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1);
    read_rows(store, &config.tables, &ranges(query, config.index_shards), bounds, query.order, skip, limit)
        .await
}

fn count(rows: &[ListRow]) -> u64 {
    u64::try_from(rows.len()).unwrap_or(u64::MAX)
}
