//! A clock that tests set: what time it is for the functions of this thread that go by it.

use std::cell::Cell;

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
