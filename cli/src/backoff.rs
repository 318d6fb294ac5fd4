//! How long to wait before another try.

use std::time::Duration;

/// Longest wait of our own.
const LONGEST: Duration = Duration::from_secs(30);
/// Longest that a service's `Retry-After` is believed.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Doubles with each failure, jittered between half and whole; what the service asked for is never cut short.
pub(crate) fn wait(first: Duration, failures: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let limit = first.saturating_mul(doubled).min(LONGEST);
    let own = limit / 2 + up_to(limit / 2);
    match retry_after {
        Some(asked) => own.max(asked.min(MAX_RETRY_AFTER) + up_to(first)),
        None => own,
    }
}

fn up_to(longest: Duration) -> Duration {
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(fastrand::u64(0..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(500);

    #[test]
    fn waits_double_between_half_and_whole_up_to_the_longest() {
        for (failures, whole) in
            [(1, 500), (2, 1_000), (3, 2_000), (6, 16_000), (7, 30_000), (u32::MAX, 30_000)]
        {
            for _ in 0..100 {
                let wait = wait(FIRST, failures, None).as_millis();
                assert!((whole / 2..=whole).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn the_service_says_the_least_and_is_not_believed_for_ever() {
        let asked = Duration::from_secs(7);
        for _ in 0..100 {
            assert!((asked..=asked + FIRST).contains(&wait(FIRST, 1, Some(asked))));
        }
        assert!(wait(FIRST, 1, Some(Duration::MAX)) <= MAX_RETRY_AFTER + FIRST);
    }
}
