//! How many calls a key may make: a bucket of calls that fills steadily (the generic cell rate algorithm). Its whole state
//! is one time: when it will be full again. Times are in microseconds.

use super::{Invalid, Timestamp};

/// Most calls a minute that a key may be given.
pub const MAX_REQUESTS_PER_MINUTE: u32 = 1_000_000;
/// Calls a minute of a key that was made without a word about it.
pub const DEFAULT_REQUESTS_PER_MINUTE: u32 = 6_000;
/// Most calls that a bucket may hold.
pub const MAX_BURST: u32 = 1_000_000;
/// Most calls that a bucket holds where nobody says, if a second gives no more: one key's burst shall fit through the API's
/// own throttle.
const MAX_DEFAULT_BURST: u32 = 600;
const SECONDS_A_MINUTE: u32 = 60;
/// Longest time that a bucket may need to fill, in minutes.
const MAX_FILL_MINUTES: u32 = 1_440;

const MINUTE_US: i64 = 60_000_000;
/// A bucket that holds less is not leased from: each call is taken by itself, so that a short burst is exact.
const LEAST_LEASED_BURST: u32 = 100;
/// The part of a bucket that may be out on lease.
const LEASED_PART: u32 = 10;
/// Longest that leased calls may be kept, in microseconds: a tenth of a minute.
const MAX_LEASE_US: i64 = MINUTE_US / 10;
/// How far clocks may lie apart, in microseconds: DynamoDB talks to those that lie up to 5 minutes before and behind its own.
/// A time further ahead than that is nobody's clock.
const MAX_SKEW_US: i64 = 10 * MINUTE_US;

/// The rate that a key is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    per_minute: u32,
    burst: u32,
}

/// How full a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Calls that may be made at once.
    pub free: u32,
    /// Microseconds until one may be made; 0: now.
    pub wait_us: i64,
    /// Microseconds until one more may be made; `None`: the bucket gives no more.
    pub next_us: Option<i64>,
    /// Microseconds until the bucket is full.
    pub fill_us: i64,
}

impl RateLimit {
    /// So many calls a minute, and so many at once. Neither may be nothing: a key that may do nothing is revoked.
    pub fn new(per_minute: u32, burst: Option<u32>) -> Result<Self, Invalid> {
        let burst = burst.unwrap_or_else(|| Self::default_burst(per_minute));
        for (value, most, what) in
            [(per_minute, MAX_REQUESTS_PER_MINUTE, "requests a minute"), (burst, MAX_BURST, "calls at once")]
        {
            if !(1..=most).contains(&value) {
                return Err(Invalid(format!("must be from 1 to {most} {what}")));
            }
        }
        if burst > per_minute.saturating_mul(MAX_FILL_MINUTES) {
            let most = per_minute.saturating_mul(MAX_FILL_MINUTES);
            return Err(Invalid(format!("must be at most {most}, which is what a day gives")));
        }
        Ok(Self { per_minute, burst })
    }

    /// The rate of calls for waits of which so many may be under way at once, if one call stands for so many seconds of
    /// waiting and no wait is longer than `longest_seconds`.
    ///
    /// Half of them may begin after a rest, and as many seconds are given again as the other half needs. So of all waits
    /// that began within the longest, no more than that many are under way.
    pub fn of_waits(at_once: u32, seconds_a_call: u32, longest_seconds: u32) -> Self {
        let half = at_once.div_ceil(2);
        let calls = |seconds: u32| half.saturating_mul(seconds).div_euclid(seconds_a_call.max(1)).max(1);
        Self { per_minute: calls(SECONDS_A_MINUTE), burst: calls(longest_seconds) }
    }

    /// Calls at once if nobody sets them: as many as a minute gives, at most 600, but at least as many as a second
    /// gives.
    pub fn default_burst(per_minute: u32) -> u32 {
        per_minute.min(MAX_DEFAULT_BURST).max(per_minute.div_ceil(SECONDS_A_MINUTE))
    }

    /// Calls a minute, in the long run.
    pub const fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// Calls at once, after a rest.
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The part of a bucket that one call takes; rounded up, so that the limit is never passed.
    fn call_us(self) -> i64 {
        let per_minute = i64::from(self.per_minute);
        (MINUTE_US + per_minute - 1) / per_minute
    }

    /// How long an empty bucket takes to fill.
    pub fn fill_us(self) -> i64 {
        i64::from(self.burst) * self.call_us()
    }

    /// How long leased calls may be kept, and how much of the bucket is therefore not given away: calls that were leased
    /// before a span of time and made in it must not come on top of what the span allows. 0: nothing is leased.
    pub fn lease_us(self) -> i64 {
        if self.max_lease() == 1 { 0 } else { MAX_LEASE_US.min(self.fill_us() / i64::from(LEASED_PART)) }
    }

    /// Most calls of one lease.
    pub fn max_lease(self) -> u32 {
        if self.burst < LEAST_LEASED_BURST {
            1
        } else {
            (self.burst.min(self.per_minute) / LEASED_PART).max(1)
        }
    }

    /// How many calls to lease, for an environment that made so many in this time. It is the number for the time of a
    /// lease if it goes on like that, and at most twice as many.
    pub fn next_lease(self, made: u32, elapsed_us: i64) -> u32 {
        let lease_us = self.lease_us();
        let elapsed_us = elapsed_us.max(lease_us / 2).max(1);
        let next = (i64::from(made).saturating_mul(lease_us) + elapsed_us - 1) / elapsed_us;
        u32::try_from(next).unwrap_or(u32::MAX).clamp(1, self.max_lease())
    }

    /// How full a bucket is now that will be full then.
    pub fn level(self, full_at_us: i64, now: Timestamp) -> Level {
        let fill_us = full_at_us.saturating_sub(micros(now)).max(0);
        let room_us = self.fill_us() - self.lease_us() - fill_us;
        let free = room_us.max(0) / self.call_us();
        let most = (self.fill_us() - self.lease_us()) / self.call_us();
        let next_us = (free < most).then(|| (free + 1) * self.call_us() - room_us);
        let free = u32::try_from(free).unwrap_or(u32::MAX);
        Level { free, wait_us: (self.call_us() - room_us).max(0), next_us, fill_us }
    }

    /// When a bucket will be full from which so many calls are taken now.
    pub fn taken(self, full_at_us: i64, calls: u32, now: Timestamp) -> i64 {
        full_at_us.max(micros(now)).saturating_add(self.cost_us(calls))
    }

    /// By how much later the bucket is full for so many calls.
    pub fn cost_us(self, calls: u32) -> i64 {
        i64::from(calls).saturating_mul(self.call_us())
    }

    /// The latest time of being full from which so many calls can still be taken.
    pub fn latest_us(self, calls: u32, now: Timestamp) -> i64 {
        micros(now) + self.fill_us() - self.lease_us() - self.cost_us(calls)
    }

    /// The earliest time when a bucket was left that will be full then: it was empty at most.
    pub fn emptied_us(self, full_at_us: i64) -> i64 {
        full_at_us - (self.fill_us() - self.lease_us())
    }

    /// Whether a time of being full lies further ahead than any bucket and any clock could be.
    pub fn is_beyond(self, full_at_us: i64, now: Timestamp) -> bool {
        full_at_us > micros(now) + self.fill_us() + MAX_SKEW_US
    }
}

/// Microseconds since 1970.
pub const fn micros(time: Timestamp) -> i64 {
    time.millis().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let rate_limit = RateLimit::new(60, Some(5)).unwrap();
        let mut full_at = 0;
        for left in (0..5).rev() {
            full_at = rate_limit.taken(full_at, 1, at(0));
            assert_eq!(rate_limit.level(full_at, at(0)).free, left);
        }
        let empty = rate_limit.level(full_at, at(0));
        assert_eq!((empty.wait_us, empty.next_us, empty.fill_us), (1_000_000, Some(1_000_000), 5_000_000));
        assert_eq!(rate_limit.emptied_us(full_at), 0);
        assert_eq!(rate_limit.level(full_at, at(1_400)).next_us, Some(600_000));
        assert_eq!(rate_limit.level(full_at, at(999)).free, 0);
        assert_eq!(rate_limit.level(full_at, at(1_000)).free, 1);
        assert_eq!(
            rate_limit.level(full_at, at(60_000)),
            Level { free: 5, wait_us: 0, next_us: None, fill_us: 0 }
        );
    }

    #[test]
    fn what_may_be_out_on_lease_is_not_given_away() {
        let rate_limit = RateLimit::new(600, None).unwrap();
        assert_eq!((rate_limit.max_lease(), rate_limit.lease_us()), (60, 6_000_000));
        assert_eq!(rate_limit.level(0, at(0)).free, 540);
        let full_at = rate_limit.taken(0, 540, at(0));
        assert_eq!(rate_limit.level(full_at, at(0)).free, 0);
        assert_eq!(rate_limit.latest_us(1, at(100)), full_at);
    }

    #[test]
    fn a_lease_follows_how_fast_calls_come() {
        let rate_limit = RateLimit::new(600, None).unwrap();
        for (made, elapsed_us, next) in [
            (0, 0, 1),
            (1, 0, 2),
            (8, -60_000_000, 16),
            (8, 1_000_000, 16),
            (8, 4_000_000, 12),
            (8, 6_000_000, 8),
            (8, 60_000_000, 1),
            (50, 1, 60),
        ] {
            assert_eq!(rate_limit.next_lease(made, elapsed_us), next, "{made} in {elapsed_us}");
        }
        // Nothing is held back where nothing is leased.
        for (per_minute, burst) in [(600, 99), (10, 1_000), (1, 1)] {
            let rate_limit = RateLimit::new(per_minute, Some(burst)).unwrap();
            assert_eq!((rate_limit.max_lease(), rate_limit.lease_us()), (1, 0));
            assert_eq!(rate_limit.next_lease(5, 0), 1);
            assert_eq!(rate_limit.level(0, at(0)).free, burst);
        }
    }

    #[test]
    fn rates_that_do_not_divide_a_minute_are_never_passed() {
        let rate_limit = RateLimit::new(7, Some(1)).unwrap();
        assert!(rate_limit.call_us() * 7 >= MINUTE_US);
        assert!(RateLimit::new(1, Some(1_441)).is_err());
        assert!(RateLimit::new(1, Some(1_440)).is_ok());
    }
}
