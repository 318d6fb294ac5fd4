//! The rate of each key, kept over all execution environments: an item of `usage` that says when the key's bucket of calls
//! will be full again. An environment leases some calls in one write and spends them by itself, for a few seconds at most.
//!
//! An environment takes before it spends, the stored time only grows, and what may be out on lease is held back. So of the
//! calls that came in any span of time, each by the clock of its environment, never more are let through than the bucket
//! gives in it. A clock that is ahead takes calls early, and the others miss them until they are there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::schema::{EXPIRES_AT, OWNER, SPAN};
use super::value::{n, s};
use super::{AttributeMap, Store, StoreError, Tables, Written};
use crate::domain::{Allowance, KeyId, Timestamp, micros};
use crate::http::{AccessKey, Standing};

/// Begins the sort key of a key's bucket; the rest is the key's id and its rate.
const RATE: &str = "rate#";
/// When the bucket is full, in microseconds since 1970.
const FULL_AT: &str = "full_at";
/// How often a lease is tried anew because others took from the bucket meanwhile. Each time it is known better how much is left.
const MAX_TRIES: usize = 8;
/// Most keys whose leases an environment knows.
const MAX_KEYS: usize = 1_000;
/// What part of its time a lease also holds for calls that came before the one that took it.
const EARLY_PART: i64 = 10;
/// How long the bucket is left to others who were faster, in microseconds; twice as long each time, and so often.
const FIRST_BACK_US: i64 = 250_000;
const MAX_DOUBLINGS: u32 = 4;
/// How long an unused bucket is kept, in hours: longer than any takes to fill.
const KEPT_HOURS: i64 = 48;

/// What this execution environment has leased. Calls of one key go one at a time: one leases, and the others spend.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    leases: Mutex<HashMap<KeyId, Arc<tokio::sync::Mutex<Lease>>>>,
}

/// Calls of one key that were taken and not yet made.
#[derive(Clone, Copy, Debug, Default)]
struct Lease {
    /// What the key might do when they were taken.
    allowance: Option<Allowance>,
    left: u32,
    /// How many were taken.
    size: u32,
    /// By the clock of the call that took them, in microseconds.
    taken_us: i64,
    /// When the bucket will be full at the earliest.
    full_at_us: i64,
    /// How often in a row others had taken what was thought to be there.
    missed: u32,
    /// Until when the store is therefore not asked.
    back_at_us: i64,
}

impl Lease {
    /// Makes a call, where one is left and its time is not over. Calls that came side by side get here in any order, so
    /// one that came a little earlier is none of a clock that went back.
    fn spend(&mut self, allowance: Allowance, now_us: i64) -> bool {
        let since_us = self.taken_us - allowance.lease_us() / EARLY_PART;
        let holds = (since_us..since_us + allowance.lease_us()).contains(&now_us);
        if self.left == 0 || !holds {
            return false;
        }
        self.left -= 1;
        true
    }

    /// Leaves the bucket to others for a while, twice as long each time: a key that floods many environments must not cost
    /// a write for each call that is refused.
    fn stand_back(&mut self, now_us: i64) {
        let wait_us = FIRST_BACK_US.saturating_mul(1 << self.missed.min(MAX_DOUBLINGS));
        (self.missed, self.back_at_us) = (self.missed + 1, now_us + wait_us);
    }

    /// For how long the bucket is left to others. A clock that went back makes that no longer.
    fn stands_back_us(&self, now_us: i64) -> i64 {
        let wait_us = self.back_at_us - now_us;
        if wait_us > FIRST_BACK_US << MAX_DOUBLINGS { 0 } else { wait_us.max(0) }
    }

    /// How many to take next.
    fn wish(&self, allowance: Allowance, now_us: i64) -> u32 {
        allowance.next_lease(self.size - self.left, now_us - self.taken_us)
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
        let lease = self.of(&key.key_id);
        let mut lease = lease.lock().await;
        if lease.allowance != Some(allowance) {
            *lease = Lease { allowance: Some(allowance), ..Lease::default() };
        }
        if lease.spend(allowance, now_us) {
            return Ok(Some(standing(allowance, &lease, now, true)));
        }
        for tried in 0..MAX_TRIES {
            let full_at_us = lease.full_at_us;
            let free = allowance.level(full_at_us, now).free;
            let is_empty = free == 0 && !allowance.is_beyond(full_at_us, now);
            if is_empty && tried > 0 {
                lease.stand_back(now_us);
            }
            if is_empty || lease.stands_back_us(now_us) > 0 {
                return Ok(Some(standing(allowance, &Lease { left: 0, ..*lease }, now, false)));
            }
            let calls = lease.wish(allowance, now_us).min(free);
            let plan = of_bucket(tables, key, allowance, now);
            let plan = match calls {
                0 => begin_empty(plan, allowance, full_at_us, now),
                _ => take(plan, allowance, full_at_us, calls, now),
            };
            match store.update(plan).await? {
                Written::Done(item) if calls > 0 => {
                    let (size, left, full_at_us) = (calls, calls - 1, full_at(item.as_ref()));
                    *lease = Lease { size, left, taken_us: now_us, full_at_us, missed: 0, ..*lease };
                    return Ok(Some(standing(allowance, &lease, now, true)));
                }
                Written::Done(item) | Written::Refused(item) => lease.full_at_us = full_at(item.as_ref()),
            }
        }
        // Everybody takes at once: there is something left, but not for this call.
        Err(StoreError::Unavailable("others took from the key's rate at every try".into()))
    }

    /// What is leased of a key.
    fn of(&self, key_id: &KeyId) -> Arc<tokio::sync::Mutex<Lease>> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() >= MAX_KEYS && !leases.contains_key(key_id) {
            // They lose what they have on lease, some seconds' worth.
            leases.clear();
        }
        Arc::clone(leases.entry(key_id.clone()).or_default())
    }
}

fn standing(allowance: Allowance, lease: &Lease, now: Timestamp, is_let_through: bool) -> Standing {
    let level = allowance.level(lease.full_at_us, now);
    let wait_us = level.wait_us.max(lease.stands_back_us(micros(now)));
    let seconds = |micros: i64| u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000);
    Standing {
        allowance,
        remaining: if is_let_through { level.free.saturating_add(lease.left) } else { 0 },
        full_in_seconds: seconds(level.fill_us),
        retry_after_seconds: (!is_let_through).then(|| seconds(wait_us).max(1)),
    }
}

fn full_at(item: Option<&AttributeMap>) -> i64 {
    let value = item.and_then(|item| item.get(FULL_AT)).and_then(|value| value.as_n().ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// Takes so many calls from a bucket that is believed to be full then. Who takes from one that is being filled does so
/// whatever others take meanwhile, as long as there is enough; only the first after a rest has to be alone.
fn take(
    plan: UpdateItemInputBuilder,
    allowance: Allowance,
    full_at_us: i64,
    calls: u32,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    let plan = plan.expression_attribute_values(":now", n(micros(now)));
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
    plan: UpdateItemInputBuilder,
    allowance: Allowance,
    seen_us: i64,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    plan.update_expression("SET #full = :full, #end = :end")
        .condition_expression("#full = :seen")
        .expression_attribute_values(":seen", n(seen_us))
        .expression_attribute_values(":full", n(micros(now) + allowance.fill_us()))
}

/// A key whose rate is changed gets another bucket: what is missing in the old one says nothing about the new.
fn of_bucket(
    tables: &Tables,
    key: &AccessKey,
    allowance: Allowance,
    now: Timestamp,
) -> UpdateItemInputBuilder {
    let (key_id, per_minute, burst) = (&key.key_id, allowance.per_minute(), allowance.burst());
    UpdateItemInput::builder()
        .table_name(&tables.usage)
        .key(OWNER, s(&key.owner))
        .key(SPAN, s(format!("{RATE}{key_id}#{per_minute}/{burst}")))
        .expression_attribute_names("#full", FULL_AT)
        .expression_attribute_names("#end", EXPIRES_AT)
        .expression_attribute_values(":end", n(now.plus_hours(KEPT_HOURS).seconds_ceil()))
        .return_values(ReturnValue::UpdatedNew)
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
}
