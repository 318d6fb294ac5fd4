//! How far the counters lag, found out by probes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::counts::tally::{Probe, send_probe};
use crate::domain::Timestamp;
use crate::store::{Ledger, StoreError};

/// Least time between two probes of one execution environment, in milliseconds: a scrape must not cost a write.
const PROBE_EVERY_MS: u64 = 60_000;

/// Longest wait for a probe to be written: those who scrape wait for some seconds only.
const PATIENCE: Duration = Duration::from_secs(1);

/// This execution environment's knowledge of its probes.
#[derive(Debug, Default)]
pub(super) struct Probing {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The first probe that has not come through, as far as this environment knows.
    waits_for: Option<Timestamp>,
    sent_at: Option<Timestamp>,
}

impl Probing {
    /// Writes a probe, if the last one is old enough.
    ///
    /// If the probe cannot be written, the scrape goes on without it. Then nothing can be counted either, so the lag grows
    /// from the first probe that failed. The next scrape tries again.
    pub(super) async fn send(&self, ledger: &Ledger, now: Timestamp) {
        if self.lock().sent_at.is_some_and(|sent_at| now.since(sent_at) < PROBE_EVERY_MS) {
            return;
        }
        let sending = tokio::time::timeout(PATIENCE, send_probe(&ledger.store, &ledger.config.tables, now));
        let sent = sending.await.unwrap_or_else(|elapsed| Err(StoreError::Unavailable(elapsed.into())));
        let mut state = self.lock();
        let before = match sent {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the probe could not be written");
                state.waits_for = state.waits_for.or(Some(now));
                return;
            }
        };
        state.sent_at = Some(now);
        // The one before may be another environment's, and may still be under way.
        state.waits_for = state.waits_for.or(before).or(Some(now));
    }

    /// The age of the first probe that was not counted; where all were, how long the last one took.
    pub(super) fn lag_ms(&self, counted: Option<Probe>, now: Timestamp) -> u64 {
        let mut state = self.lock();
        if let Some(counted) = counted {
            let is_through = |probe: &Timestamp| *probe <= counted.at;
            if state.waits_for.as_ref().is_some_and(is_through) {
                state.waits_for = state.sent_at.filter(|sent_at| !is_through(sent_at));
            }
        }
        match (state.waits_for, counted) {
            // Just written: that it has not come through yet says nothing.
            (Some(waits_for), _) if waits_for < now => now.since(waits_for),
            (_, Some(counted)) => counted.counted_at.since(counted.at),
            (_, None) => 0,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn probing(waits_for: Option<i64>, sent_at: i64) -> Probing {
        Probing { state: Mutex::new(State { waits_for: waits_for.map(at), sent_at: Some(at(sent_at)) }) }
    }

    fn counted(seconds: i64) -> Probe {
        Probe { at: at(seconds), counted_at: at(seconds + 2) }
    }

    #[test]
    fn a_probe_that_came_through_tells_how_long_it_took() {
        assert_eq!(probing(Some(100), 100).lag_ms(Some(counted(100)), at(115)), 2_000);
        assert_eq!(probing(None, 100).lag_ms(Some(counted(100)), at(1_000)), 2_000);
    }

    #[test]
    fn a_counter_that_stands_still_lags_more_and_more() {
        let probing = probing(Some(100), 160);
        assert_eq!(probing.lag_ms(Some(counted(40)), at(175)), 75_000);
        assert_eq!(probing.lag_ms(Some(counted(40)), at(275)), 175_000);
        // The first is through, the second is not: its age counts from then on.
        assert_eq!(probing.lag_ms(Some(counted(100)), at(280)), 120_000);
        assert_eq!(probing.lag_ms(Some(counted(160)), at(290)), 2_000);
    }

    #[test]
    fn a_first_scrape_after_a_quiet_time_shows_no_lag() {
        assert_eq!(probing(Some(1_000), 1_000).lag_ms(Some(counted(5)), at(1_000)), 2_000);
        assert_eq!(probing(Some(1_000), 1_000).lag_ms(None, at(1_000)), 0);
    }
}
