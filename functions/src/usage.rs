//! `GET /v1/usage`: the usage of keys, day by day; the rest of a key's rate; the bytes that the owner keeps.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::access::{MAX_USAGE_DAYS, RateLimitStatus, UsedDay};
use jobledger::counts::used_bytes;
use jobledger::domain::{AccessKey, Invalid, KeyId, Owner, Timestamp, parse_bound_end, parse_bound_start};
use jobledger::http::{
    Access, Answer, Call, Problem, RateLimitView, Route, RouteKey, Scope, StorageView, function,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<UsageReport>();

/// Days of a report where nobody says from when.
const DEFAULT_DAYS: i64 = 30;

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

/// The calls, summed up in several ways.
#[derive(Debug, Default, Serialize)]
struct Sums {
    total_calls: u64,
    days: Vec<Day>,
    by_route: BTreeMap<String, Calls>,
    by_status: BTreeMap<u16, u64>,
    by_key: BTreeMap<String, u64>,
}

/// The calls of one day; days without a call are left out.
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

/// The limits of the reported key, as far as they go by a key.
#[derive(Default)]
struct Limits {
    limit_status: Option<RateLimitStatus>,
    quota_bytes: Option<u64>,
}

impl Route for UsageReport {
    const NAME: &'static str = "usage";
    const KEY: RouteKey = RouteKey::get("/v1/usage");
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
        } else if days.len() > MAX_USAGE_DAYS {
            let must =
                format!("must be at most the {MAX_USAGE_DAYS}th day, that of from_date being the first");
            call.query.refuse("to_date", Invalid(must));
        }
        call.query.clone().finish(Some(()))?;
        let asked = asked(&call, key_id)?;
        let [from_date, to_date] = [days.first(), days.last()].map(|day| day.map_or("", String::as_str));
        let used = async {
            let usage = call.backend.usage();
            Ok(match &asked.key_id {
                Some(key_id) => usage.of_key(&asked.owner, key_id, &days).await?,
                None => usage.of_owner(&asked.owner, from_date, to_date).await?,
            })
        };
        let kept = async { Ok(used_bytes(call.backend, &asked.owner).await?) };
        let (used, kept, limits) = tokio::try_join!(used, kept, limits(&call, &asked))?;
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
    for number in 0..=MAX_USAGE_DAYS {
        let day = from.plus_hours(24 * i64::try_from(number).unwrap_or(i64::MAX)).day();
        let is_last = day >= last;
        days.push(day);
        if is_last {
            break;
        }
    }
    days
}

/// A key sees its own usage; a key of an admin sees that of all keys of the owner.
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

/// The limits of the key that is reported. If the report is of all keys of an owner, they are those of the key that
/// asks, if it is the owner's.
async fn limits(call: &Call<'_, Ledger>, asked: &Asked) -> Result<Limits, Problem> {
    let own = own_key(call);
    match &asked.key_id {
        Some(key_id) if own.is_none_or(|own| own.key_id != *key_id) => {
            let key = call.backend.keys().find(key_id).await?.map(|key| key.access);
            let Some(key) = key.filter(|key| key.owner == asked.owner) else { return Ok(Limits::default()) };
            let limit_status = call.backend.keys().rate_limit_status(&key, call.now).await?;
            Ok(Limits { limit_status, quota_bytes: key.storage_quota_bytes })
        }
        Some(_) | None => {
            let is_reserved = own.is_some_and(|own| own.owner == asked.owner);
            let own = Limits { limit_status: call.limit_status, quota_bytes: call.storage_quota_bytes() };
            Ok(if is_reserved { own } else { Limits::default() })
        }
    }
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
