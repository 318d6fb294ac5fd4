//! `GET /v1/usage`: what keys were used for, day by day; what is left of a key's rate; what the owner keeps.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::counts::used_bytes;
use jobledger::domain::{Invalid, KeyId, Owner, Timestamp, parse_bound_end, parse_bound_start};
use jobledger::http::{
    Access, AccessKey, Answer, Call, FieldError, Problem, RateLimitStatus, RateLimitView, Route, Scope,
    StorageView, function,
};
use jobledger::store::Ledger;
use jobledger::store::keys::read_key;
use jobledger::store::usage::{UsedDay, used_between, used_day, used_on};
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<UsageReport>();

/// Days of a report where nobody says from when.
const DEFAULT_DAYS: i64 = 30;
/// Most days of a report: what one request can name of a key's days.
const MAX_DAYS: usize = 100;
/// Most reads of a report over all keys, 1 MB each: what a function has time for.
const MAX_READS: usize = 32;

/// `GET /v1/usage`.
#[derive(Debug)]
pub struct UsageReport;

#[derive(Debug, Serialize)]
struct Body<'a> {
    owner: &'a Owner,
    key_id: Option<&'a KeyId>,
    from_date: &'a str,
    to_date: &'a str,
    #[serde(flatten)]
    used: Sums,
    rate_limit: Option<RateLimitView>,
    storage: StorageView,
}

/// What was called, summed up in several ways.
#[derive(Debug, Default, Serialize)]
struct Sums {
    total_calls: u64,
    days: Vec<Day>,
    by_route: BTreeMap<String, Calls>,
    by_status: BTreeMap<u16, u64>,
    by_key: BTreeMap<String, u64>,
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

/// What the reported key may do, as far as it goes by a key.
#[derive(Default)]
struct Limits {
    limit_status: Option<RateLimitStatus>,
    quota_bytes: Option<u64>,
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
        let days = days(from, to);
        if from > to {
            call.query.refuse("to_date", Invalid::new("must not lie before from_date"));
        } else if days.len() > MAX_DAYS {
            let must = format!("must be at most the {MAX_DAYS}th day, that of from_date being the first");
            call.query.refuse("to_date", Invalid(must));
        }
        call.query.clone().finish(Some(()))?;
        let asked = asked(&call, key_id)?;
        let used = async {
            match &asked.key_id {
                Some(key_id) => of_key(call.backend, &asked.owner, key_id, &days).await,
                None => of_owner(call.backend, &asked.owner, &days).await,
            }
        };
        let kept = async { Ok(used_bytes(call.backend, &asked.owner).await?) };
        let (used, kept, limits) = tokio::try_join!(used, kept, limits(&call, &asked))?;
        let [from_date, to_date] = [days.first(), days.last()].map(|day| day.map_or("", String::as_str));
        Ok(Answer::ok(&Body {
            owner: &asked.owner,
            key_id: asked.key_id.as_ref(),
            from_date,
            to_date,
            used: sums(&used),
            rate_limit: limits.limit_status.map(RateLimitView::from),
            storage: StorageView::new(kept, limits.quota_bytes),
        }))
    }
}

/// The days from one time to another, both included, and one more where they are too many.
fn days(from: Timestamp, to: Timestamp) -> Vec<String> {
    let last = to.day();
    let mut days = Vec::new();
    for number in 0..=MAX_DAYS {
        let day = from.plus_hours(24 * i64::try_from(number).unwrap_or(i64::MAX)).day();
        let is_last = day >= last;
        days.push(day);
        if is_last {
            break;
        }
    }
    days
}

/// A key sees what itself was used for; one of an admin what all keys of the owner were.
fn asked(call: &Call<'_, Ledger>, key_id: Option<KeyId>) -> Result<Asked, Problem> {
    let owner = call.owner()?.clone();
    if call.require(Scope::Admin).is_ok() {
        return Ok(Asked { owner, key_id });
    }
    let own = own_key(call).map(|key| key.key_id.clone());
    if key_id.is_some() && key_id != own {
        let detail = "only an admin key sees what other keys were used for";
        return Err(Problem::forbidden("missing_scope", detail));
    }
    Ok(Asked { owner, key_id: own })
}

fn own_key<'a>(call: &'a Call<'_, Ledger>) -> Option<&'a AccessKey> {
    call.caller.as_ref().map(|caller| &caller.key)
}

/// Of the key that is reported. Where it is all keys of an owner, of the one that asks, if it is the owner's.
async fn limits(call: &Call<'_, Ledger>, asked: &Asked) -> Result<Limits, Problem> {
    let own = own_key(call);
    match &asked.key_id {
        Some(key_id) if own.is_none_or(|own| own.key_id != *key_id) => {
            let Ledger { store, config, .. } = call.backend;
            let key = read_key(store, &config.tables, key_id).await?.map(|key| key.access);
            let Some(key) = key.filter(|key| key.owner == asked.owner) else { return Ok(Limits::default()) };
            let limit_status = call.backend.limit_status_of(&key, call.now).await?;
            Ok(Limits { limit_status, quota_bytes: key.storage_quota_bytes })
        }
        Some(_) | None => {
            let is_own = own.is_some_and(|own| own.owner == asked.owner);
            let own = Limits { limit_status: call.limit_status, quota_bytes: call.storage_quota_bytes() };
            Ok(if is_own { own } else { Limits::default() })
        }
    }
}

/// What one key was used for: its days by name, however many other keys the owner has.
async fn of_key(
    ledger: &Ledger,
    owner: &Owner,
    key_id: &KeyId,
    days: &[String],
) -> Result<Vec<UsedDay>, Problem> {
    let plan = used_on(&ledger.config.tables, owner, key_id, days)?;
    let items = ledger.store.batch_get(plan).await?.into_values().flatten();
    let mut used = items.map(|item| used_day(&item)).collect::<Result<Vec<_>, _>>()?;
    used.sort_by(|one, other| one.day.cmp(&other.day));
    Ok(used)
}

/// What all keys of an owner were used for.
async fn of_owner(ledger: &Ledger, owner: &Owner, days: &[String]) -> Result<Vec<UsedDay>, Problem> {
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return Ok(Vec::new()) };
    let plan = used_between(&ledger.config.tables, owner, first, last);
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
    let invalid =
        Invalid::new("is too far back for all keys together: ask for fewer days, or for one key_id");
    Err(Problem::invalid_query(vec![FieldError::new("from_date", invalid)]))
}

fn sums(used: &[UsedDay]) -> Sums {
    let mut sums = Sums::default();
    for UsedDay { day, key_id, calls } in used {
        if sums.days.last().is_none_or(|last| last.date != *day) {
            let (date, by_route) = (day.clone(), BTreeMap::new());
            sums.days.push(Day { date, all: Calls::default(), by_route });
        }
        for ((route, status), calls) in calls {
            sums.total_calls += calls;
            *sums.by_status.entry(*status).or_default() += calls;
            *sums.by_key.entry(key_id.to_string()).or_default() += calls;
            sums.by_route.entry(route.clone()).or_default().add(*status, *calls);
            if let Some(day) = sums.days.last_mut() {
                day.all.add(*status, *calls);
                day.by_route.entry(route.clone()).or_default().add(*status, *calls);
            }
        }
    }
    sums
}

impl Calls {
    fn add(&mut self, status: u16, calls: u64) {
        self.calls += calls;
        *self.by_status.entry(status).or_default() += calls;
    }
}
