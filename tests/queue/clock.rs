//! Time and chance of a run: both come from its seed.
//!
//! A run has its own thread, with a virtual clock. The clock stands still while any task can go on, and then jumps to
//! the next moment that a task waits for. Every run of a seed is the same.

use std::cell::RefCell;

use jobledger::Environment;
pub(crate) use jobledger_tests::clock::{pass, paused_now as now};
use jobledger_tests::stream::Dice;
use uuid::Uuid;

thread_local! {
    static IDS: RefCell<Dice> = const { RefCell::new(Dice::new(0)) };
}

/// Begins a run.
pub(crate) fn begin(seed: u64) {
    jobledger_tests::clock::begin_paused();
    IDS.replace(Dice::new(seed));
    // The SDK draws its waits from this generator.
    fastrand::seed(seed);
    Environment::decide_ids(fresh_id);
}

fn fresh_id() -> Uuid {
    let chance = IDS.with_borrow_mut(|dice| [dice.roll(u64::MAX), dice.roll(u64::MAX)]);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&chance[0].to_be_bytes());
    bytes[8..].copy_from_slice(&chance[1].to_be_bytes()[..2]);
    let millis = u64::try_from(now().millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
