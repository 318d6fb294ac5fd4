//! The rate of each key, kept over all execution environments: an item of `usage` that says when the key's bucket of calls
//! will be full again. An environment takes an allowance of some calls in one write, and spends it for a few seconds at most.
//!
//! An environment takes before it spends, the stored time only grows, and the calls that may be out as allowances are
//! held back. So of the calls that came in any span of time, never more are let through than the bucket gives in it. If
//! clocks lie apart, the one that is furthest ahead holds for all: as much more as the rate gives in the time between
//! them, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemInput;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemInputBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use tokio::time::Instant;

use super::{Error, RateLimitStatus};
use crate::domain::{AccessKey, KeyId, RateLimit, Timestamp, micros};
use crate::store::schema::{EXPIRES_AT, OWNER, SPAN};
use crate::store::value::{n, s};
use crate::store::{AttributeMap, Store, StoreError, Tables, Written};

mod allowance;

use allowance::Allowance;

/// Begins the sort key of a key's bucket; the rest is the key's id and its rate.
const RATE: &str = "rate#";
/// The same of the bucket for its waits.
const WAITS: &str = "waits#";
/// When the bucket is full, in microseconds since 1970.
const FULL_AT: &str = "full_at";
/// The time, by the clock that all go by, when somebody last took from the bucket; in microseconds since 1970.
const TAKEN_AT: &str = "taken_at";
/// How often an allowance is tried anew because others took from the bucket meanwhile. Each try knows better how much is left.
const MAX_TRIES: usize = 8;
/// Most keys whose allowances an environment knows.
const MAX_KEYS: usize = 1_000;
/// How long an unused bucket is kept, in hours: longer than any takes to fill.
const KEPT_HOURS: i64 = 48;

/// The allowances of this execution environment. Calls of one key go one at a time: one takes an allowance, the others spend it.
#[derive(Debug)]
pub(super) struct Limiter {
    bucket: &'static str,
    allowances: Mutex<HashMap<KeyId, Arc<tokio::sync::Mutex<Allowance>>>>,
}

/// The taker of calls: its key, its rate, and the time.
#[derive(Clone, Copy)]
struct Taker<'a> {
    store: &'a Store,
    tables: &'a Tables,
    bucket: &'static str,
    key: &'a AccessKey,
    rate_limit: RateLimit,
    now: Timestamp,
    came: Instant,
}

impl Limiter {
    /// Of the calls of keys.
    pub(super) fn of_calls() -> Self {
        Self { bucket: RATE, allowances: Mutex::default() }
    }

    /// Of the waits of keys.
    pub(super) fn of_waits() -> Self {
        Self { bucket: WAITS, allowances: Mutex::default() }
    }

    /// Makes a call; `None`: the key has no limit.
    pub(super) async fn spend(
        &self,
        store: &Store,
        tables: &Tables,
        key: &AccessKey,
        now: Timestamp,
    ) -> Result<Option<RateLimitStatus>, Error> {
        let Some(rate_limit) = key.rate_limit else { return Ok(None) };
        let bucket = self.bucket;
        let taker = Taker { store, tables, bucket, key, rate_limit, now, came: Instant::now() };
        let allowance = self.of(&key.key_id);
        let mut allowance = allowance.lock().await;
        let made = taker.take(&mut allowance, 1).await?;
        let time = allowance.time(rate_limit, now, taker.came);
        Ok(Some(match made {
            0 => allowance.refused(rate_limit, time, now),
            _ => allowance.limit_status(rate_limit, time),
        }))
    }

    /// Takes up to so many calls; answers how many were left to take.
    pub(super) async fn take(
        &self,
        store: &Store,
        tables: &Tables,
        key: &AccessKey,
        calls: u32,
        now: Timestamp,
    ) -> Result<u32, Error> {
        let Some(rate_limit) = key.rate_limit else { return Ok(calls) };
        let bucket = self.bucket;
        let taker = Taker { store, tables, bucket, key, rate_limit, now, came: Instant::now() };
        let allowance = self.of(&key.key_id);
        taker.take(&mut *allowance.lock().await, calls).await
    }

    /// The allowance of a key.
    fn of(&self, key_id: &KeyId) -> Arc<tokio::sync::Mutex<Allowance>> {
        let mut allowances = self.allowances.lock().unwrap_or_else(PoisonError::into_inner);
        if allowances.len() >= MAX_KEYS && !allowances.contains_key(key_id) {
            // Their allowances are lost: the calls of some seconds.
            allowances.clear();
        }
        Arc::clone(allowances.entry(key_id.clone()).or_default())
    }
}

impl Taker<'_> {
    /// Takes up to so many calls: from the allowance, and what it lacks from the bucket.
    async fn take(self, allowance: &mut Allowance, calls: u32) -> Result<u32, Error> {
        let Self { store, rate_limit, now, .. } = self;
        allowance.go_by(rate_limit);
        let spent = allowance.spend(rate_limit, calls, now);
        if spent == calls {
            return Ok(spent);
        }
        for tried in 0..MAX_TRIES {
            if rate_limit.is_beyond(allowance.full_at_us, now) {
                let (Written::Done(item) | Written::Refused(item)) =
                    store.update(self.begin_empty(allowance.full_at_us)).await?;
                learn(allowance, rate_limit, item.as_ref());
                continue;
            }
            let time = allowance.time(rate_limit, now, self.came);
            let level = rate_limit.level(allowance.full_at_us, time);
            if level.free == 0 && tried > 0 {
                allowance.pause(now);
            }
            if level.free == 0 || allowance.paused_us(level, now) > 0 {
                return Ok(spent);
            }
            let size = allowance.next_size(rate_limit, calls - spent, level.free, now);
            match store.update(self.allowance(allowance.full_at_us, size, time)).await? {
                Written::Done(item) => {
                    learn(allowance, rate_limit, item.as_ref());
                    let made = size.min(calls - spent);
                    allowance.took(size, made, now);
                    return Ok(spent + made);
                }
                Written::Refused(item) => learn(allowance, rate_limit, item.as_ref()),
            }
        }
        // Everybody takes at once: there is something left, but not for this call.
        Err(Error::RateContended)
    }

    /// Takes so many calls from a bucket that is believed to be full then. If the bucket is being filled, the write
    /// succeeds whatever others take meanwhile, as long as there is enough. Only the first taker after a rest has to be
    /// alone.
    fn allowance(self, full_at_us: i64, calls: u32, time: Timestamp) -> UpdateItemInputBuilder {
        let rate_limit = self.rate_limit;
        let plan = self.of_bucket().expression_attribute_values(":now", n(micros(time)));
        if full_at_us > micros(time) {
            plan.update_expression("SET #full = #full + :cost, #taken = :now, #end = :end")
                .condition_expression("#full > :now AND #full <= :latest")
                .expression_attribute_values(":cost", n(rate_limit.cost_us(calls)))
                .expression_attribute_values(":latest", n(rate_limit.latest_us(calls, time)))
        } else {
            plan.update_expression("SET #full = :full, #taken = :now, #end = :end")
                .condition_expression("attribute_not_exists(#full) OR #full <= :now")
                .expression_attribute_values(":full", n(rate_limit.taken(full_at_us, calls, time)))
        }
    }

    /// Puts an empty bucket in the place of one that no clock could have left so.
    fn begin_empty(self, seen_us: i64) -> UpdateItemInputBuilder {
        self.of_bucket()
            .update_expression("SET #full = :full, #taken = :now, #end = :end")
            .condition_expression("#full = :seen")
            .expression_attribute_values(":seen", n(seen_us))
            .expression_attribute_values(":now", n(micros(self.now)))
            .expression_attribute_values(":full", n(self.rate_limit.latest_us(0, self.now)))
    }

    fn of_bucket(self) -> UpdateItemInputBuilder {
        let (owner, span) = name(self.bucket, self.key, self.rate_limit);
        UpdateItemInput::builder()
            .table_name(&self.tables.usage)
            .key(OWNER, owner)
            .key(SPAN, span)
            .expression_attribute_names("#full", FULL_AT)
            .expression_attribute_names("#taken", TAKEN_AT)
            .expression_attribute_names("#end", EXPIRES_AT)
            .expression_attribute_values(":end", n(self.now.plus_hours(KEPT_HOURS).seconds_ceil()))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// How a key stands with its rate, as far as it is stored: calls in allowances are taken off. `None`: it has no limit.
pub(super) async fn look(
    store: &Store,
    tables: &Tables,
    key: &AccessKey,
    now: Timestamp,
) -> Result<Option<RateLimitStatus>, StoreError> {
    let Some(rate_limit) = key.rate_limit else { return Ok(None) };
    let (owner, span) = name(RATE, key, rate_limit);
    let plan = GetItemInput::builder().table_name(&tables.usage).key(OWNER, owner).key(SPAN, span);
    let came = Instant::now();
    let mut allowance = Allowance::default();
    learn(&mut allowance, rate_limit, store.get(plan).await?.as_ref());
    Ok(Some(allowance.limit_status(rate_limit, allowance.time(rate_limit, now, came))))
}

/// A key whose rate is changed gets another bucket: the calls that are missing in the old one say nothing about the
/// new.
fn name(bucket: &str, key: &AccessKey, rate_limit: RateLimit) -> (AttributeValue, AttributeValue) {
    let (key_id, per_minute, burst) = (&key.key_id, rate_limit.per_minute(), rate_limit.burst());
    (s(&key.owner), s(format!("{bucket}{key_id}#{per_minute}/{burst}")))
}

fn learn(allowance: &mut Allowance, rate_limit: RateLimit, item: Option<&AttributeMap>) {
    let time = |name: &str| {
        let value = item.and_then(|item| item.get(name)).and_then(|value| value.as_n().ok());
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    allowance.learn(rate_limit, time(FULL_AT), time(TAKEN_AT));
}
