//! Time of tests: a clock that they set, for the functions of this thread that go by it; and the runtime's own, paused.

use std::cell::Cell;
use std::time::Duration;

use jobledger::domain::Timestamp;
use tokio::time::Instant;

use crate::stream::BEGIN;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::MIN) };
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// From now on it is this time.
pub fn set(now: Timestamp) {
    NOW.set(now);
}

/// What time it is: for `Environment::clock`.
pub fn now() -> Timestamp {
    NOW.get()
}

/// Starts the clock of this thread's runtime, whose time is paused: see [`paused_now`].
pub fn begin_paused() {
    BEGAN.set(Some(Instant::now()));
}

/// The time on the clock of this thread's runtime, for `Environment::clock`. Time passes only while all tasks wait.
pub fn paused_now() -> Timestamp {
    let passed = BEGAN.get().map(|began| began.elapsed().as_millis());
    BEGIN.plus_millis(passed.and_then(|millis| i64::try_from(millis).ok()).unwrap_or(0))
}

/// Lets so much time pass. If the runtime's time is paused, it passes only where nothing else is left to do; else this is
/// the pause between two looks at a state.
pub async fn pass(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
