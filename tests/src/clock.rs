//! Time of tests: a clock that they set, for the functions of this thread that go by it; and the runtime's own, paused.

use std::cell::Cell;
use std::time::Duration;

use jobledger::domain::Timestamp;

thread_local! {
    static NOW: Cell<Timestamp> = const { Cell::new(Timestamp::MIN) };
}

/// From now on it is this time.
pub fn set(now: Timestamp) {
    NOW.set(now);
}

/// What time it is: for `Environment::clock`.
pub fn now() -> Timestamp {
    NOW.get()
}

/// Lets so much time pass where the runtime's is paused: then it passes only where nothing else is left to do.
pub async fn pass(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}
