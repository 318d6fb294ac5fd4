//! The rate of each key, kept over all execution environments: an item of `usage` that says when the key's bucket of calls
//! will be full again. An environment leases some calls in one write and spends them by itself, for a few seconds at most.
//!
//! Since an environment takes before it spends, the sum of all never passes what the bucket gives, by the clock that is
//! furthest ahead. A clock that jumps ahead takes calls early, and they are missing afterwards.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::schema::{EXPIRES_AT, OWNER, SPAN};
use super::value::{n, s};
use super::{AttributeMap, Store, StoreError, Tables, Written};
use crate::domain::{Allowance, KeyId, Timestamp, micros};
use crate::http::{AccessKey, Standing};

/// Begins the sort key of a key's bucket; the rest is the key's id.
const RATE: &str = "rate#";
/// When the bucket is full, in microseconds since 1970.
const FULL_AT: &str = "full_at";
/// How often a lease is tried anew because others took from the bucket meanwhile. Each time it is known better how much is left.
const MAX_TRIES: usize = 8;
/// Most keys whose leases an environment knows.
const MAX_KEYS: usize = 1_000;
/// How long an unused bucket is kept, in hours: longer than any takes to fill.
const KEPT_HOURS: i64 = 48;

/// What this execution environment has leased.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    leases: Mutex<HashMap<KeyId, Lease>>,
}

/// Calls of one key that were taken and not yet made.
#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    left: u32,
    /// How many were taken the last time.
    size: u32,
    /// From when to when they may be made, in microseconds: a clock that goes back ends a lease, too.
    since_us: i64,
    until_us: i64,
    /// When the bucket will be full at the earliest.
    full_at_us: i64,
}

impl Lease {
    fn holds(&self, now_us: i64) -> bool {
        (self.since_us..self.until_us).contains(&now_us)
    }

    /// How many to take next: twice as many where the last ones were used up in time, else fewer.
    fn wish(&self, allowance: Allowance, now_us: i64) -> u32 {
        let wish = if self.holds(now_us) { self.size.saturating_mul(2) } else { self.size / 2 };
        wish.clamp(1, allowance.max_lease())
    }
}

impl Limiter {
    /// Takes a call; `None`: the key has no limit.
    pub(super) async fn spend(
        &self,
        store: &Store,
        tables: &Tables,
        key: &AccessKey,
        now: Timestamp,
    ) -> Result<Option<Standing>, StoreError> {
        let Some(allowance) = key.allowance else { return Ok(None) };
        let now_us = micros(now);
        let known = match self.spend_leased(&key.key_id, now_us) {
            Ok(lease) => return Ok(Some(standing(allowance, &lease, now, true))),
            Err(lease) => lease,
        };
        let mut full_at_us = known.full_at_us;
        for _ in 0..MAX_TRIES {
            let free = allowance.level(full_at_us, now).free;
            let plan = if free > 0 {
                let calls = known.wish(allowance, now_us).min(free);
                let plan = take(tables, key, allowance, full_at_us, calls, now);
                (plan, calls)
            } else if allowance.is_beyond(full_at_us, now) {
                (begin_empty(tables, key, allowance, full_at_us, now), 0)
            } else {
                let empty = Lease { left: 0, full_at_us, ..known };
                self.remember(&key.key_id, now_us, empty);
                return Ok(Some(standing(allowance, &empty, now, false)));
            };
            let (plan, calls) = plan;
            match store.update(plan).await? {
                Written::Done(item) => {
                    full_at_us = full_at(item.as_ref());
                    if calls > 0 {
                        let lease = self.leased(&key.key_id, allowance, calls, full_at_us, now_us);
                        return Ok(Some(standing(allowance, &lease, now, true)));
                    }
                }
                Written::Refused(item) => full_at_us = full_at(item.as_ref()),
            }
        }
        // Everybody takes at once: there is something left, but not for this call.
        Err(StoreError::Unavailable("others took from the key's rate at every try".into()))
    }

    /// Makes a call that was leased; else says what is known.
    fn spend_leased(&self, key_id: &KeyId, now_us: i64) -> Result<Lease, Lease> {
        let mut leases = self.lock();
        let Some(lease) = leases.get_mut(key_id) else { return Err(Lease::default()) };
        if lease.left == 0 || !lease.holds(now_us) {
            return Err(*lease);
        }
        lease.left -= 1;
        Ok(*lease)
    }

    /// Keeps what was leased, less the call that it was leased for.
    fn leased(
        &self,
        key_id: &KeyId,
        allowance: Allowance,
        calls: u32,
        full_at_us: i64,
        now_us: i64,
    ) -> Lease {
        let known = self.lock().get(key_id).copied().unwrap_or_default();
        // Calls of one environment may come side by side on one machine, and each lease for itself.
        let left = if known.holds(now_us) { known.left } else { 0 };
        let lease = Lease {
            left: left.saturating_add(calls - 1),
            size: calls,
            since_us: now_us,
            until_us: now_us + allowance.lease_us(),
            full_at_us: full_at_us.max(known.full_at_us),
        };
        self.remember(key_id, now_us, lease);
        lease
    }

    fn remember(&self, key_id: &KeyId, now_us: i64, lease: Lease) {
        let mut leases = self.lock();
        if leases.len() >= MAX_KEYS && !leases.contains_key(key_id) {
            leases.retain(|_, lease| lease.holds(now_us) || lease.full_at_us > now_us);
        }
        if leases.len() >= MAX_KEYS && !leases.contains_key(key_id) {
            leases.clear();
        }
        leases.insert(key_id.clone(), lease);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn standing(allowance: Allowance, lease: &Lease, now: Timestamp, is_let_through: bool) -> Standing {
    let level = allowance.level(lease.full_at_us, now);
    let seconds = |micros: i64| u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000);
    Standing {
        allowance,
        remaining: level.free.saturating_add(lease.left),
        full_in_seconds: seconds(level.fill_us),
        retry_after_seconds: (!is_let_through).then(|| seconds(level.wait_us).max(1)),
    }
}

fn full_at(item: Option<&AttributeMap>) -> i64 {
    let value = item.and_then(|item| item.get(FULL_AT)).and_then(|value| value.as_n().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Takes so many calls from a bucket that is believed to be full then. Who takes from one that is being filled does so
/// whatever others take meanwhile, as long as there is enough; only the first after a rest has to be alone.
fn take(
    tables: &Tables,
    key: &AccessKey,
    allowance: Allowance,
    full_at_us: i64,
    calls: u32,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    let plan = of_key(tables, key, now).expression_attribute_values(":now", n(micros(now)));
    if full_at_us > micros(now) {
        plan.update_expression("SET #full = #full + :cost, #end = :end")
            .condition_expression("#full > :now AND #full <= :latest")
            .expression_attribute_values(":cost", n(allowance.cost_us(calls)))
            .expression_attribute_values(":latest", n(allowance.latest_us(calls, now)))
    } else {
        plan.update_expression("SET #full = :full, #end = :end")
            .condition_expression("attribute_not_exists(#full) OR #full <= :now")
            .expression_attribute_values(":full", n(allowance.taken(full_at_us, calls, now)))
    }
}

/// Puts an empty bucket in the place of one that no clock could have left so.
fn begin_empty(
    tables: &Tables,
    key: &AccessKey,
    allowance: Allowance,
    seen_us: i64,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    of_key(tables, key, now)
        .update_expression("SET #full = :full, #end = :end")
        .condition_expression("#full = :seen")
        .expression_attribute_values(":seen", n(seen_us))
        .expression_attribute_values(":full", n(micros(now) + allowance.fill_us()))
}

fn of_key(tables: &Tables, key: &AccessKey, now: Timestamp) -> UpdateItemInputBuilder {
    UpdateItemInput::builder()
        .table_name(&tables.usage)
        .key(OWNER, s(&key.owner))
        .key(SPAN, s(format!("{RATE}{}", key.key_id)))
        .expression_attribute_names("#full", FULL_AT)
        .expression_attribute_names("#end", EXPIRES_AT)
        .expression_attribute_values(":end", n(now.plus_hours(KEPT_HOURS).seconds_ceil()))
        .return_values(ReturnValue::UpdatedNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}
