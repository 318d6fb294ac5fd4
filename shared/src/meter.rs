//! The cost of operations: requests, round trips and capacity units, counted if somebody asks for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The cost since the meter was last read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Requests sent to DynamoDB.
    pub requests: u32,
    /// Times that a request began while none was under way: requests that run side by side are one round trip.
    pub round_trips: u32,
    /// Read capacity units, as the engine reports them.
    pub read_units: f64,
    /// Write capacity units, as the engine reports them, with those of the indexes.
    pub write_units: f64,
    /// Writes that were refused, as what they change was not as they want it: somebody else was faster.
    pub refused: u32,
}

/// Counts the cost of a function. Shared by a function and the code that watches it.
#[derive(Debug, Default)]
pub struct Meter {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spent: Spent,
    under_way: u32,
}

impl Meter {
    /// The cost since the last call. This call starts the meter anew.
    pub fn take(&self) -> Spent {
        std::mem::take(&mut self.lock().spent)
    }

    /// A request is being sent.
    pub fn begin(&self) {
        let mut state = self.lock();
        state.spent.requests += 1;
        if state.under_way == 0 {
            state.spent.round_trips += 1;
        }
        state.under_way += 1;
    }

    /// A request was answered, and cost this much.
    #[expect(clippy::float_arithmetic, reason = "capacity units come in halves; nothing is decided by them")]
    pub fn end(&self, read_units: f64, write_units: f64) {
        let mut state = self.lock();
        state.spent.read_units += read_units;
        state.spent.write_units += write_units;
        state.under_way -= 1;
    }

    /// A write was refused by its condition.
    pub fn refused(&self) {
        self.lock().spent.refused += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
