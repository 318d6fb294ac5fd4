//! How long to wait before another try.

use std::time::Duration;

/// Longest that a service's `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Doubling waits, each jittered between half and whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest first wait.
    pub first: Duration,
    /// The longest of all.
    pub longest: Duration,
}

impl Backoff {
    /// The longest wait after this many failures in a row.
    fn limit(self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(doubled).min(self.longest)
    }

    /// The wait after so many failures in a row. A wait that the service asked for is never cut short. Clients that
    /// were asked together do not come back together.
    pub fn wait(self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let limit = self.limit(failures);
        let own = limit / 2 + up_to(limit / 2);
        match retry_after {
            Some(asked) => own.max(asked.min(MAX_RETRY_AFTER) + up_to(self.first)),
            None => own,
        }
    }
}

/// Some time up to this one: the only chance here.
pub fn up_to(longest: Duration) -> Duration {
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(fastrand::u64(0..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

    #[test]
    fn waits_double_up_to_the_longest() {
        let limits: Vec<_> = (1..=8).map(|failures| BACKOFF.limit(failures).as_millis()).collect();
        assert_eq!(limits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(BACKOFF.limit(u32::MAX), BACKOFF.longest);
    }

    #[test]
    fn waits_lie_between_half_and_whole() {
        for _ in 0..1_000 {
            let wait = BACKOFF.wait(3, None);
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn the_service_says_the_least_and_is_not_believed_for_ever() {
        let asked = Duration::from_secs(7);
        for _ in 0..1_000 {
            assert!((asked..=asked + BACKOFF.first).contains(&BACKOFF.wait(1, Some(asked))));
        }
        assert!(BACKOFF.wait(1, Some(Duration::MAX)) <= MAX_RETRY_AFTER + BACKOFF.first);
    }
}
