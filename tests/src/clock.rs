//! The time of tests: a clock for the functions of this thread, which tests set; and the runtime's own time, paused.

use std::cell::Cell;
use std::time::Duration;

use jobledger::domain::Timestamp;
use tokio::time::Instant;

use crate::stream::BEGIN;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::MIN) };
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Sets the clock to this time.
pub fn set(now: Timestamp) {
    NOW.set(now);
}

/// The time of the test's clock, for `Environment::clock`.
pub fn now() -> Timestamp {
    NOW.get()
}

/// Starts the clock of this thread's runtime, whose time is paused; see [`paused_now`].
pub fn begin_paused() {
    BEGAN.set(Some(Instant::now()));
}

/// The time on the clock of this thread's runtime, for `Environment::clock`. Time passes only while all tasks wait.
pub fn paused_now() -> Timestamp {
    let passed = BEGAN.get().map(|began| began.elapsed().as_millis());
    BEGIN.plus_millis(passed.and_then(|millis| i64::try_from(millis).ok()).unwrap_or(0))
}

/// Lets this time pass. If the runtime's time is paused, it passes only when no task can go on. Else this is the pause
/// between two looks at a state.
pub async fn pass(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
