//! `GET /v1/records/count`: how many records there are, by kind and by status.

use std::collections::{BTreeMap, BTreeSet};

use jobledger::Function;
use jobledger::counts::{MAX_PAIRS_ONE_BY_ONE, MAX_RECORD_PAIRS, RecordCountError, RecordCounts};
use jobledger::domain::{Invalid, NO_STATUS, RecordKind, RecordStatus};
use jobledger::http::{Access, Answer, Call, FieldError, Problem, Route, RouteKey, Scope, function, set};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<GetRecordCount>();

/// Most kinds, and most statuses, that one call names.
const MAX_NAMED: usize = 100;

/// `GET /v1/records/count`.
#[derive(Debug)]
pub struct GetRecordCount;

#[derive(Serialize)]
struct Body {
    total: u64,
    total_kind: &'static str,
    by_kind: BTreeMap<RecordKind, u64>,
    by_status: BTreeMap<String, u64>,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    kind: RecordKind,
    status: Option<RecordStatus>,
    count: u64,
}

impl Route for GetRecordCount {
    const NAME: &'static str = "get-record-count";
    const KEY: RouteKey = RouteKey::get("/v1/records/count");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let kind = |word: &str| RecordKind::try_from(word);
        let kinds: Option<BTreeSet<RecordKind>> =
            call.query.optional("kind", |text| set(text, MAX_NAMED, kind));
        let statuses: Option<BTreeSet<Option<RecordStatus>>> =
            call.query.optional("status", |text| set(text, MAX_NAMED, status));
        call.query.finish(Some(()))?;
        let (kinds, statuses) = (kinds.unwrap_or_default(), statuses.unwrap_or_default());
        let counts = call.backend.records().count(call.owner()?, &kinds, &statuses).await;
        let counts = counts.map_err(|error| match error {
            RecordCountError::Store(error) => error.into(),
            RecordCountError::TooManyPairs => too_many(&kinds),
        })?;
        Ok(Answer::ok(&body(counts)))
    }
}

/// A status, or the word for none.
fn status(word: &str) -> Result<Option<RecordStatus>, Invalid> {
    if word == NO_STATUS { Ok(None) } else { RecordStatus::try_from(word).map(Some) }
}

fn body(counts: RecordCounts) -> Body {
    let (mut total, mut by_kind, mut by_status) = (0, BTreeMap::new(), BTreeMap::new());
    let mut items = Vec::with_capacity(counts.len());
    for ((kind, status), count) in counts {
        total += count;
        *by_kind.entry(kind.clone()).or_default() += count;
        let word = status.as_ref().map_or(NO_STATUS, RecordStatus::as_str);
        *by_status.entry(word.to_owned()).or_default() += count;
        items.push(Item { kind, status, count });
    }
    Body { total, total_kind: "exact", by_kind, by_status, items }
}

/// The problem if there is too much to look at; it tells what to ask for instead.
fn too_many(kinds: &BTreeSet<RecordKind>) -> Problem {
    let (field, whose, remedy) = match kinds.len() {
        0 => ("kind", "there are", "name kinds".to_owned()),
        1 => ("status", "this kind has", format!("name statuses too, at most {MAX_PAIRS_ONE_BY_ONE}")),
        _ => ("kind", "these kinds have", "name fewer kinds".to_owned()),
    };
    let message = format!("{whose} more than {MAX_RECORD_PAIRS} pairs of kind and status; {remedy}");
    Problem::invalid_query(vec![FieldError::new(field, Invalid(message))])
}
