//! `GET /v1/usage`: what keys were used for, day by day; what is left of the key's rate; what its owner keeps.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::domain::{Invalid, KeyId, Owner, Timestamp, parse_bound_end, parse_bound_start};
use jobledger::dynamo::usage::{UsedDay, used_between, used_day};
use jobledger::dynamo::{Ledger, StoreError};
use jobledger::http::{Access, Answer, Call, Problem, Route, Scope, StandingView, StorageView, function};
use jobledger::tally::used_bytes;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<UsageReport>();

/// Days of a report where nobody says from when.
const DEFAULT_DAYS: i64 = 30;
/// Most days of a report.
const MAX_DAYS: u64 = 100;
/// Most reads of a report, 1 MB each: what a function has time for.
const MAX_READS: usize = 32;

const DAY_MS: u64 = 86_400_000;

/// `GET /v1/usage`.
#[derive(Debug)]
pub struct UsageReport;

#[derive(Debug, Default, Serialize)]
struct Body {
    owner: String,
    key_id: Option<String>,
    from_date: String,
    to_date: String,
    total_calls: u64,
    days: Vec<Day>,
    by_route: BTreeMap<String, Calls>,
    by_status: BTreeMap<u16, u64>,
    by_key: BTreeMap<String, u64>,
    rate_limit: Option<StandingView>,
    storage: Option<StorageView>,
}

/// What was called on one day; days without a call are left out.
#[derive(Debug, Serialize)]
struct Day {
    date: String,
    #[serde(flatten)]
    all: Calls,
    by_route: BTreeMap<String, Calls>,
}

/// Calls, and how they were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Calls {
    calls: u64,
    by_status: BTreeMap<u16, u64>,
}

/// Whose calls are reported.
struct Asked {
    owner: Owner,
    /// `None`: all keys of the owner.
    key_id: Option<KeyId>,
}

impl Route for UsageReport {
    const NAME: &'static str = "usage";
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let key_id = call.query.optional("key_id", |text: &str| KeyId::try_from(text));
        let from = call.query.optional("from_date", parse_bound_start);
        let to = call.query.optional("to_date", parse_bound_end).unwrap_or(call.now);
        let from = from.unwrap_or_else(|| to.plus_hours(-24 * (DEFAULT_DAYS - 1)));
        if from > to {
            call.query.refuse("to_date", Invalid::new("must not lie before from_date"));
        } else if to.since(from) > MAX_DAYS * DAY_MS {
            call.query.refuse("to_date", Invalid(format!("must be at most {MAX_DAYS} days after from_date")));
        }
        call.query.clone().finish(Some(()))?;
        let asked = asked(&call, key_id)?;
        let ledger = call.backend;
        let (used, used_bytes) =
            tokio::try_join!(read(ledger, &asked.owner, from, to), used_bytes(ledger, &asked.owner))?;
        let mut body = report(&used, asked.key_id.as_ref());
        body.owner = asked.owner.to_string();
        body.key_id = asked.key_id.map(|key_id| key_id.to_string());
        (body.from_date, body.to_date) = (from.day(), to.day());
        body.rate_limit = call.standing.map(StandingView::from);
        body.storage = Some(StorageView::new(used_bytes, call.storage_quota_bytes()));
        Ok(Answer::ok(&body))
    }
}

/// A key sees what itself was used for; one of an admin what all keys of the owner were.
fn asked(call: &Call<'_, Ledger>, key_id: Option<KeyId>) -> Result<Asked, Problem> {
    let owner = call.owner()?.clone();
    let key = call.caller.as_ref().map(|caller| &caller.key);
    if call.require(Scope::Admin).is_ok() {
        return Ok(Asked { owner, key_id });
    }
    let own = key.map(|key| key.key_id.clone());
    if key_id.is_some() && key_id != own {
        let detail = "only an admin key sees what other keys were used for";
        return Err(Problem::forbidden("missing_scope", detail));
    }
    Ok(Asked { owner, key_id: own })
}

async fn read(
    ledger: &Ledger,
    owner: &Owner,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<UsedDay>, StoreError> {
    let plan = used_between(&ledger.config.tables, owner, &from.day(), &to.day());
    let (mut used, mut next) = (Vec::new(), None);
    for _ in 0..MAX_READS {
        let page = ledger.store.query(plan.clone().set_exclusive_start_key(next)).await?;
        for item in page.items.iter().flatten() {
            used.push(used_day(item)?);
        }
        next = page.last_evaluated_key;
        if next.is_none() {
            return Ok(used);
        }
    }
    Err(StoreError::Unavailable("there are too many keys and days for one report".into()))
}

fn report(used: &[UsedDay], key_id: Option<&KeyId>) -> Body {
    let mut body = Body::default();
    for UsedDay { day, key_id: used_by, calls } in used {
        if key_id.is_some_and(|key_id| key_id != used_by) {
            continue;
        }
        if body.days.last().is_none_or(|last| last.date != *day) {
            let (date, by_route) = (day.clone(), BTreeMap::new());
            body.days.push(Day { date, all: Calls::default(), by_route });
        }
        for ((route, status), calls) in calls {
            body.total_calls += calls;
            *body.by_status.entry(*status).or_default() += calls;
            *body.by_key.entry(used_by.to_string()).or_default() += calls;
            body.by_route.entry(route.clone()).or_default().add(*status, *calls);
            if let Some(day) = body.days.last_mut() {
                day.all.add(*status, *calls);
                day.by_route.entry(route.clone()).or_default().add(*status, *calls);
            }
        }
    }
    body
}

impl Calls {
    fn add(&mut self, status: u16, calls: u64) {
        self.calls += calls;
        *self.by_status.entry(status).or_default() += calls;
    }
}
