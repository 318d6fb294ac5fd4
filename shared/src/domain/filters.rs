//! The request of a list, read from the query of a URL: the same names wherever a list is named.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    CreatedRange, ErrorCode, ExternalId, Filter, Invalid, JobQuery, Labels, MAX_PRIORITY, MAX_TYPES, Owner,
    QueryString, Search, Status, StatusWord, Timestamp, TypeName, Wait, WorkerId, parse_bound_end,
    parse_bound_start,
};

/// Most words for statuses: there are more words than statuses.
const MAX_STATUS_WORDS: usize = 10;
/// The labels that have a name of their own in a query.
const LABELS: [&str; 3] = ["team", "model", "provider"];
/// Begins the name of a filter by any label.
const LABEL: &str = "label.";

/// Takes the filters of a list out; errors in them are reported when the query is finished. `at` tells which jobs are due.
pub fn job_query(owner: Owner, query: &mut QueryString, at: Timestamp) -> JobQuery {
    let types = types(query);
    let (statuses, waits) = statuses(query);
    let asked = JobQuery {
        types,
        statuses,
        created: created_range(query),
        filter: Filter { waits, ..filter(query) },
        at,
        ..JobQuery::all(owner)
    };
    if asked.filter.worker.is_none() { asked } else { held(asked, query) }
}

/// Takes the types out; none stand for all.
pub fn types(query: &mut QueryString) -> BTreeSet<TypeName> {
    let kind = |word: &str| TypeName::try_from(word);
    query.optional("type", |text| set(text, MAX_TYPES, kind)).unwrap_or_default()
}

/// The statuses, and if queued jobs are wanted, the ways of waiting; none: all.
fn statuses(query: &mut QueryString) -> (BTreeSet<Status>, BTreeSet<Wait>) {
    let words =
        query.optional("status", |text| words(text, MAX_STATUS_WORDS, |word| StatusWord::try_from(word)));
    let words = words.unwrap_or_default();
    let queued = || words.iter().filter(|word| word.status == Status::Queued);
    let mut waits: BTreeSet<Wait> = queued().flat_map(|word| word.waits.iter().copied()).collect();
    if waits.len() == Wait::ALL.len() || queued().any(|word| word.waits.is_empty()) {
        waits.clear();
    }
    (words.iter().map(|word| word.status).collect(), waits)
}

/// A list of the jobs that a worker holds is one of running jobs.
fn held(asked: JobQuery, query: &mut QueryString) -> JobQuery {
    if !asked.statuses.is_empty() && !asked.statuses.contains(&Status::Running) {
        query.refuse("status", Invalid::new("must be running, or be left out, together with worker_id"));
    }
    JobQuery { statuses: BTreeSet::from([Status::Running]), ..asked }
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
    Filter {
        priority,
        labels: labels(query),
        external_id: query.optional("external_id", |text| ExternalId::try_from(text)),
        search: query.optional("search", |text| Search::try_from(text)),
        completed: times(query, "completed_after", "completed_before"),
        updated: times(query, "updated_after", "updated_before"),
        error_code: query.optional("error_code", |text| ErrorCode::try_from(text)),
        worker: query.optional("worker_id", |text| WorkerId::try_from(text)),
        waits: BTreeSet::new(),
    }
}

/// Takes two ends of a time out; `None`: neither is given.
fn times(query: &mut QueryString, after: &str, before: &str) -> Option<CreatedRange> {
    let from = query.optional(after, parse_bound_start);
    let to = query.optional(before, parse_bound_end);
    (from.is_some() || to.is_some()).then(|| range(query, from, to, before))
}

/// Takes the values of labels out: `team` and two others by their own names, and any by `label.` and its name.
fn labels(query: &mut QueryString) -> BTreeMap<String, String> {
    let any = |(name, _): &(String, String)| Some(name.strip_prefix(LABEL)?.to_owned());
    let mut names: BTreeSet<String> = query.pairs().iter().filter_map(any).collect();
    names.extend(LABELS.map(str::to_owned));
    let mut labels = BTreeMap::new();
    for name in names {
        let long = format!("{LABEL}{name}");
        // A value that no job can have is a mistake of the caller, and not an empty list; one that is spelled otherwise is
        // the same.
        let read = |text: &str| {
            let labels = Labels::try_from(BTreeMap::from([(name.clone(), text.to_owned())]))?;
            Ok(labels.get(&name).unwrap_or_default().to_owned())
        };
        let value = if LABELS.contains(&name.as_str()) {
            query.either(&name, &long, read)
        } else {
            query.optional(&long, read)
        };
        labels.extend(value.map(|value| (name.clone(), value)));
    }
    if let Err(invalid) = Labels::try_from(labels.clone()) {
        query.refuse("label", invalid);
    }
    labels
}

/// One value or several with commas; the same twice counts once.
pub fn set<T: Ord>(
    text: &str,
    max: usize,
    read: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<BTreeSet<T>, Invalid> {
    Ok(words(text, max, read)?.into_iter().collect())
}

fn words<T>(text: &str, max: usize, read: impl Fn(&str) -> Result<T, Invalid>) -> Result<Vec<T>, Invalid> {
    let parts: Vec<&str> = text.split(',').collect();
    if parts.len() > max {
        return Err(Invalid(format!("must be at most {max} values")));
    }
    parts.into_iter().map(read).collect()
}
