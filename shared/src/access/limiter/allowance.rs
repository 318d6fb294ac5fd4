//! An execution environment's knowledge of one key's bucket, and the calls that it has taken from it.

use tokio::time::Instant;

use crate::access::RateLimitStatus;
use crate::domain::{Level, RateLimit, Timestamp, micros};
use crate::environment::Environment;

/// The part of its time by which an allowance also holds for calls that came before the one that took it.
const EARLY_PART: i64 = 10;
/// An allowance is at most so large a part of what is left: an emptying bucket is handed out in small pieces, so that little of
/// it lies with those who do not need it.
const LEFT_PART: u32 = 8;
/// How long the store is not asked after others were faster, in microseconds; twice as long each time, and so often.
/// Never longer than the shortest `Retry-After`: if a caller waited for that, its next call asks the store.
const FIRST_PAUSE_US: i64 = 250_000;
const MAX_DOUBLINGS: u32 = 2;
/// How much later than the first of those who were refused the last one may be told to come back, in microseconds.
const LONGEST_QUEUE_US: i64 = 60_000_000;

/// Calls of one key that were taken and not yet made, and what is known of those that can be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    /// The rate limit of the key when they were taken.
    rate_limit: Option<RateLimit>,
    left: u32,
    /// How many were taken.
    size: u32,
    /// By the clock of the call that took them, in microseconds.
    taken_us: i64,
    /// When the bucket will be full at the earliest.
    pub(super) full_at_us: i64,
    /// The earliest possible time, then, by the clock that is furthest ahead, in microseconds.
    furthest: Option<(i64, Instant)>,
    /// How often in a row others had taken what was thought to be there.
    misses: u32,
    /// Until when the store is therefore not asked.
    paused_until_us: i64,
    /// When the last one of those who were refused was told to come back.
    promised_us: i64,
}

impl Allowance {
    /// Forgets what belongs to another rate of the key.
    pub(super) fn go_by(&mut self, rate_limit: RateLimit) {
        if self.rate_limit != Some(rate_limit) {
            *self = Self { rate_limit: Some(rate_limit), ..Self::default() };
        }
    }

    /// Makes up to so many calls, where some are left and their time is not over. Calls that came side by side get here in
    /// any order, so one that came a little earlier is none of a clock that went back.
    pub(super) fn spend(&mut self, rate_limit: RateLimit, calls: u32, now: Timestamp) -> u32 {
        let since_us = self.taken_us - rate_limit.lease_us() / EARLY_PART;
        let holds = (since_us..since_us + rate_limit.lease_us()).contains(&micros(now));
        let spent = if holds { self.left.min(calls) } else { 0 };
        self.left -= spent;
        spent
    }

    /// Notes when the bucket is full, and the time when somebody last took from it, as the store has just said. No
    /// bucket is emptier than empty, either; if one seems so, somebody's clock is ahead by as much.
    pub(super) fn learn(&mut self, rate_limit: RateLimit, full_at_us: i64, taken_at_us: i64) {
        self.full_at_us = full_at_us;
        let (now, emptied_us) = (Instant::now(), rate_limit.emptied_us(full_at_us));
        let known_us = self.furthest_us(now).unwrap_or(i64::MIN);
        self.furthest = Some((known_us.max(emptied_us).max(taken_at_us), now));
    }

    /// The earliest possible time now by the clock that is furthest ahead. It advances by a clock that nobody sets: a
    /// clock that jumps must not pass for time in which the bucket fills.
    fn furthest_us(&self, at: Instant) -> Option<i64> {
        let (time_us, known) = self.furthest?;
        let since = at.saturating_duration_since(known).as_micros();
        let until = known.saturating_duration_since(at).as_micros();
        let since_us = i64::try_from(since).unwrap_or(0) - i64::try_from(until).unwrap_or(i64::MAX);
        Some(time_us.saturating_add(since_us))
    }

    /// Notes that so many calls were taken, of which some are made at once.
    pub(super) fn took(&mut self, size: u32, made: u32, now: Timestamp) {
        let left = size.saturating_sub(made);
        (self.size, self.left, self.taken_us, self.misses) = (size, left, micros(now), 0);
    }

    /// The time for the bucket, at a call that came now: by the clock of its environment, or by the one that is
    /// furthest ahead of those that took from the bucket. All go by that one. Otherwise the environment that is ahead
    /// would take all, and the others would have to wait until their clocks are there.
    pub(super) fn time(&self, rate_limit: RateLimit, now: Timestamp, came: Instant) -> Timestamp {
        let furthest_us = self.furthest_us(came);
        let furthest_us = furthest_us.filter(|us| !rate_limit.is_beyond(us + rate_limit.fill_us(), now));
        let furthest = furthest_us.map(|us| Timestamp::from_millis(us.div_euclid(1_000)));
        furthest.map_or(now, |furthest| furthest.max(now))
    }

    /// Leaves the store alone for a while, longer each time: a key that floods many environments must not cost a write for each
    /// call that is refused.
    pub(super) fn pause(&mut self, now: Timestamp) {
        self.paused_until_us = micros(now) + (FIRST_PAUSE_US << self.misses.min(MAX_DOUBLINGS));
        self.misses += 1;
    }

    /// For how long the store is left alone. A clock that went back makes that no longer, and a bucket that has had the time
    /// to fill ends it.
    pub(super) fn paused_us(&mut self, level: Level, now: Timestamp) -> i64 {
        if level.fill_us == 0 {
            (self.misses, self.paused_until_us) = (0, 0);
        }
        let wait_us = self.paused_until_us - micros(now);
        if wait_us > FIRST_PAUSE_US << MAX_DOUBLINGS { 0 } else { wait_us.max(0) }
    }

    /// How many to take next, of so many that there are, if a caller wants so many now.
    pub(super) fn next_size(&self, rate_limit: RateLimit, wanted: u32, free: u32, now: Timestamp) -> u32 {
        let next = rate_limit.next_lease(self.size - self.left, micros(now) - self.taken_us);
        next.min(free / LEFT_PART).max(wanted).min(free)
    }

    /// How the key stands after a call that was let through.
    pub(super) fn limit_status(&self, rate_limit: RateLimit, time: Timestamp) -> RateLimitStatus {
        let level = rate_limit.level(self.full_at_us, time);
        RateLimitStatus {
            rate_limit,
            remaining: level.free.saturating_add(self.left),
            next_in_seconds: level.next_us.map(|micros| seconds(micros).max(1)),
            full_in_seconds: seconds(level.fill_us),
            retry_after_seconds: None,
        }
    }

    /// How the key stands after a call that was refused, and when that one should come again: each after the one before it, so
    /// that not all come back for the same call.
    pub(super) fn refused(
        &mut self,
        rate_limit: RateLimit,
        time: Timestamp,
        now: Timestamp,
    ) -> RateLimitStatus {
        let level = rate_limit.level(self.full_at_us, time);
        let wait_us = level.wait_us.max(self.paused_us(level, now));
        let first_us = micros(now) + wait_us;
        let last_us = first_us + LONGEST_QUEUE_US;
        let behind_us = self.promised_us + rate_limit.cost_us(1);
        let again_us = if behind_us <= last_us {
            self.promised_us = first_us.max(behind_us);
            self.promised_us
        } else if self.promised_us > last_us {
            // Promised by a clock that went back.
            self.promised_us = first_us;
            first_us
        } else {
            // The queue is as long as it gets: anywhere in it.
            let chance = i64::try_from(Environment::chance() >> 1).unwrap_or(0);
            first_us + chance % LONGEST_QUEUE_US
        };
        RateLimitStatus {
            rate_limit,
            remaining: 0,
            next_in_seconds: Some(seconds(wait_us).max(1)),
            full_in_seconds: seconds(level.fill_us),
            retry_after_seconds: Some(seconds(again_us - micros(now)).max(1)),
        }
    }
}

fn seconds(micros: i64) -> u64 {
    u64::try_from(micros).unwrap_or(0).div_ceil(1_000_000)
}
