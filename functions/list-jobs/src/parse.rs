//! What a list asks for, read from the query of its URL.

use std::collections::BTreeSet;

use jobledger::domain::{
    CreatedRange, Invalid, JobQuery, MAX_TYPES, Order, Owner, Status, StatusInput, TypeName, parse_bound_end,
    parse_bound_start,
};
use jobledger::http::{Problem, QueryString, Window};

/// Most pairs of a type and a status in one list: each is a range of the index to read.
const MAX_PAIRS: usize = 25;

pub(crate) fn parse(owner: Owner, mut query: QueryString) -> Result<(JobQuery, Window), Problem> {
    let kind = |word: &str| TypeName::try_from(word);
    let types: BTreeSet<TypeName> =
        query.optional("type", |text| set(text, MAX_TYPES, kind)).unwrap_or_default();
    let status = |word: &str| StatusInput::try_from(word).map(|input| input.status);
    let statuses: BTreeSet<Status> =
        query.optional("status", |text| set(text, 10, status)).unwrap_or_default();
    if types.len().max(1) * statuses.len().max(1) > MAX_PAIRS && statuses.len() < Status::ALL.len() {
        let message =
            format!("must be at most {MAX_PAIRS} pairs of a type and a status; ask for fewer at a time");
        query.refuse("type", Invalid(message));
    }
    let upper =
        if query.pairs().iter().any(|(name, _)| name == "to_date") { "to_date" } else { "created_before" };
    let from = query.either("created_after", "from_date", parse_bound_start);
    let to = query.either("created_before", "to_date", parse_bound_end);
    let created = CreatedRange::new(from, to).unwrap_or_else(|invalid| {
        query.refuse(upper, invalid);
        CreatedRange::ALL
    });
    query.optional("sort_by", |text| match text {
        "created_at" => Ok(()),
        _ => Err(Invalid::new("must be created_at")),
    });
    let order = query.optional("sort_order", |text| match text {
        "desc" => Ok(Order::Desc),
        "asc" => Ok(Order::Asc),
        _ => Err(Invalid::new("must be asc or desc")),
    });
    let window = Window::parse(&mut query);
    let asked = JobQuery { owner, types, statuses, created, order: order.unwrap_or(Order::Desc) };
    query.finish(window.map(|window| (asked, window)))
}

/// One value or several with commas; the same twice counts once.
fn set<T: Ord>(
    text: &str,
    max: usize,
    read: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<BTreeSet<T>, Invalid> {
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > max {
        return Err(Invalid(format!("must be at most {max} values")));
    }
    parts.into_iter().map(read).collect()
}
