//! The request for a list, read from the query of its URL.

use jobledger::domain::{Invalid, JobQuery, Order, Owner, SortBy, Timestamp};
use jobledger::http::{Problem, QueryString, Window, job_query};

pub(crate) fn parse(
    owner: Owner,
    mut query: QueryString,
    now: Timestamp,
) -> Result<(JobQuery, Window), Problem> {
    let asked = job_query(owner, &mut query, now);
    let sort = query.optional("sort_by", |text| match text {
        "created_at" => Ok(SortBy::Created),
        "updated_at" => Ok(SortBy::Updated),
        "completed_at" => Ok(SortBy::Completed),
        "priority" => Ok(SortBy::Priority),
        _ => Err(Invalid::new("must be created_at, updated_at, completed_at or priority")),
    });
    let order = query.optional("sort_order", |text| match text {
        "desc" => Ok(Order::Desc),
        "asc" => Ok(Order::Asc),
        _ => Err(Invalid::new("must be asc or desc")),
    });
    let window = Window::parse(&mut query);
    let sort = sort.unwrap_or(SortBy::Created);
    let asked = JobQuery { sort, order: order.unwrap_or(Order::Desc), ..asked };
    query.finish(window.map(|window| (asked, window)))
}
