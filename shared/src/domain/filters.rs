//! The request of a list, read from the query of a URL: the same names wherever a list is named.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CreatedRange, ExternalId, Filter, Invalid, JobQuery, Labels, MAX_PRIORITY, MAX_TYPES, Owner, QueryString,
    Search, Status, StatusInput, Timestamp, TypeName, parse_bound_end, parse_bound_start,
};

/// Most words for statuses: there are more words than statuses.
const MAX_STATUS_WORDS: usize = 10;
/// The labels that have a name of their own in a query.
const LABELS: [&str; 3] = ["team", "model", "provider"];

/// Takes the filters of a list out; errors in them are reported when the query is finished.
pub fn job_query(owner: Owner, query: &mut QueryString) -> JobQuery {
    let kind = |word: &str| TypeName::try_from(word);
    let types: Option<BTreeSet<TypeName>> = query.optional("type", |text| set(text, MAX_TYPES, kind));
    let status = |word: &str| StatusInput::try_from(word).map(|input| input.status);
    let statuses: Option<BTreeSet<Status>> =
        query.optional("status", |text| set(text, MAX_STATUS_WORDS, status));
    JobQuery {
        types: types.unwrap_or_default(),
        statuses: statuses.unwrap_or_default(),
        created: created_range(query),
        filter: filter(query),
        ..JobQuery::all(owner)
    }
}

/// Takes the dates of a list out: `created_after` or `from_date`, and `created_before` or `to_date`.
pub fn created_range(query: &mut QueryString) -> CreatedRange {
    let upper =
        if query.pairs().iter().any(|(name, _)| name == "to_date") { "to_date" } else { "created_before" };
    let from = query.either("created_after", "from_date", parse_bound_start);
    let to = query.either("created_before", "to_date", parse_bound_end);
    range(query, from, to, upper)
}

/// Takes the dates of a report out: `start` and `end`.
pub fn start_and_end(query: &mut QueryString) -> CreatedRange {
    let from = query.optional("start", parse_bound_start);
    let to = query.optional("end", parse_bound_end);
    range(query, from, to, "end")
}

fn range(
    query: &mut QueryString,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    upper: &str,
) -> CreatedRange {
    CreatedRange::new(from, to).unwrap_or_else(|invalid| {
        query.refuse(upper, invalid);
        CreatedRange::ALL
    })
}

fn filter(query: &mut QueryString) -> Filter {
    let priority = query.optional("priority", |text| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let value = text.parse::<u8>().ok().filter(|value| digits && i64::from(*value) <= MAX_PRIORITY);
        value.ok_or_else(|| Invalid(format!("must be a whole number from 0 to {MAX_PRIORITY}")))
    });
    let mut labels = BTreeMap::new();
    for name in LABELS {
        let value = query.optional(name, |text| {
            // A value that no job can have is a mistake of the caller, and not an empty list; one that is spelled
            // otherwise is the same.
            let labels = Labels::try_from(BTreeMap::from([(name.to_owned(), text.to_owned())]))?;
            Ok(labels.get(name).unwrap_or_default().to_owned())
        });
        labels.extend(value.map(|value| (name.to_owned(), value)));
    }
    let external_id = query.optional("external_id", |text| ExternalId::try_from(text));
    let search = query.optional("search", |text| Search::try_from(text));
    Filter { priority, labels, external_id, search }
}

/// One value or several with commas; the same twice counts once.
pub fn set<T: Ord>(
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
