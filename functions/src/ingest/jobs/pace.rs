//! How fast a call sends: as fast as the store takes it. A call of 10,000 lines is more than a part of an index takes in a
//! second, so being throttled is no failure of the call but a sign to go slower.
//!
//! Additive increase, multiplicative decrease, as TCP has it: a refused request halves the number under way, and each
//! round that is done adds one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jobledger::domain::Timestamp;
use jobledger::store::{StoreError, backoff};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most requests that are under way at once.
const MAX_AT_ONCE: usize = 64;
/// How long after it began a call goes on being patient, in milliseconds: API Gateway gives up at 30 s, and a last request
/// needs some time.
const PATIENT_MS: i64 = 25_000;
/// Longest wait before a request that was refused is sent again; doubles.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How often it doubles: up to 1.6 s.
const MAX_DOUBLINGS: u32 = 4;

/// The pace of one call.
#[derive(Debug)]
pub(crate) struct Pace {
    permits: Semaphore,
    state: Mutex<State>,
    clock: fn() -> Timestamp,
    patient_until: Timestamp,
}

#[derive(Debug)]
struct State {
    /// How many requests may be under way.
    limit: usize,
    /// Permits that are still out although the limit was cut.
    excess: usize,
    /// Requests that were done since the limit moved.
    done: usize,
    /// How often the limit was cut.
    cuts: u32,
    /// Whether the store has done anything for this call. One that never has is down, and its caller hears of it at once.
    is_up: bool,
}

impl Pace {
    /// The pace of a call that began then.
    pub(crate) fn new(began: Timestamp, clock: fn() -> Timestamp) -> Self {
        let state = State { limit: MAX_AT_ONCE, excess: 0, done: 0, cuts: 0, is_up: false };
        Self {
            permits: Semaphore::new(MAX_AT_ONCE),
            state: Mutex::new(state),
            clock,
            patient_until: began.plus_millis(PATIENT_MS),
        }
    }

    /// Sends a request when it may go, and again while it is refused for a reason that passes, until the call's time ends.
    pub(crate) async fn send<T, F>(&self, request: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut tried = 0;
        loop {
            let permit =
                self.permits.acquire().await.map_err(|closed| StoreError::Unavailable(closed.into()))?;
            let cuts = self.state().cuts;
            let outcome = request().await;
            let is_refused = matches!(outcome, Err(StoreError::Unavailable(_)));
            if is_refused {
                self.cut(cuts);
            } else {
                self.grow();
            }
            self.give_back(permit);
            if !is_refused || !self.is_patient() {
                return outcome;
            }
            backoff(FIRST_WAIT, tried.min(MAX_DOUBLINGS)).await;
            tried += 1;
        }
    }

    /// Halves what may be under way; only the first of those that were under way together does.
    fn cut(&self, cuts_before: u32) {
        let mut state = self.state();
        if state.cuts == cuts_before {
            let limit = (state.limit / 2).max(1);
            state.excess += state.limit - limit;
            // Those that are out are taken when they come back.
            state.excess -= self.permits.forget_permits(state.excess);
            (state.limit, state.done, state.cuts) = (limit, 0, state.cuts + 1);
        }
    }

    /// Lets one more be under way after as many were done as may be.
    fn grow(&self) {
        let mut state = self.state();
        state.is_up = true;
        state.done += 1;
        if state.done >= state.limit && state.limit < MAX_AT_ONCE {
            (state.limit, state.done) = (state.limit + 1, 0);
            if state.excess > 0 {
                state.excess -= 1;
            } else {
                self.permits.add_permits(1);
            }
        }
    }

    fn give_back(&self, permit: SemaphorePermit<'_>) {
        let mut state = self.state();
        if state.excess > 0 {
            state.excess -= 1;
            permit.forget();
        }
    }

    fn is_patient(&self) -> bool {
        self.state().is_up && (self.clock)() < self.patient_until
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::Instant;

    use super::*;

    thread_local! {
        static BEGAN: Instant = Instant::now();
    }

    /// The runtime's time, which is paused.
    fn clock() -> Timestamp {
        let elapsed = BEGAN.with(Instant::elapsed);
        Timestamp::from_millis(elapsed.as_millis().try_into().unwrap())
    }

    /// A store that takes so many requests a second, each of which takes 5 ms.
    struct Slow {
        a_second: i64,
        done: Cell<i64>,
        tried: Cell<i64>,
        under_way: Cell<usize>,
        most: Cell<usize>,
    }

    impl Slow {
        fn new(a_second: i64) -> Self {
            let (done, tried) = (Cell::new(0), Cell::new(0));
            Self { a_second, done, tried, under_way: Cell::new(0), most: Cell::new(0) }
        }

        async fn write(&self) -> Result<(), StoreError> {
            self.tried.set(self.tried.get() + 1);
            self.under_way.set(self.under_way.get() + 1);
            self.most.set(self.most.get().max(self.under_way.get()));
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.under_way.set(self.under_way.get() - 1);
            // A tenth of a second may be made use of at once.
            if self.done.get() < self.a_second / 10 + clock().millis() * self.a_second / 1_000 {
                self.done.set(self.done.get() + 1);
                Ok(())
            } else {
                Err(StoreError::Unavailable("throttled".into()))
            }
        }
    }

    async fn write_all(pace: &Pace, store: &Slow, writes: usize) -> usize {
        let outcomes = join_all((0..writes).map(|_| pace.send(|| store.write()))).await;
        outcomes.into_iter().flatten().count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_as_fast_as_the_store() {
        for (a_second, writes) in [(100, 1_000), (1_000, 10_000)] {
            let (pace, store, began) = (Pace::new(clock(), clock), Slow::new(a_second), clock());
            // The number of writes that a store takes is counted from the thread's beginning.
            store.done.set(began.millis() * a_second / 1_000);
            assert_eq!(write_all(&pace, &store, writes).await, writes, "{a_second} a second");
            let took = clock().millis() - began.millis();
            assert!((9_000..14_000).contains(&took), "{took} ms at {a_second} a second");
            let tried = store.tried.get();
            println!("{a_second} a second: {writes} in {took} ms, {tried} tries");
            assert!(tried < 4 * i64::try_from(writes).unwrap(), "{tried} tries at {a_second} a second");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_halved_and_grows_by_one() {
        let (pace, store) = (Pace::new(clock(), clock), Slow::new(1_000_000));
        assert_eq!(write_all(&pace, &store, 500).await, 500);
        assert_eq!(store.most.get(), MAX_AT_ONCE);
        // All that were under way together are one sign.
        for cuts in [0, 0, 0, 1, 1] {
            pace.cut(cuts);
        }
        store.most.set(0);
        assert_eq!(write_all(&pace, &store, 16).await, 16);
        assert_eq!(store.most.get(), 16);
        store.most.set(0);
        assert_eq!(write_all(&pace, &store, 100).await, 100);
        assert!((18..32).contains(&store.most.get()), "{}", store.most.get());
        for cuts in 2..20 {
            pace.cut(cuts);
        }
        assert_eq!(write_all(&pace, &store, 1_000).await, 1_000, "one at a time at least");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_with_the_calls_time() {
        let (pace, store) = (Pace::new(clock(), clock), Slow::new(10));
        assert_eq!(write_all(&pace, &store, 1).await, 1);
        store.done.set(i64::MAX);
        assert_eq!(write_all(&pace, &store, 100).await, 0);
        let took = clock().millis();
        assert!((PATIENT_MS..PATIENT_MS + 3_000).contains(&took), "{took} ms");
        let tried = store.tried.get();
        assert_eq!(write_all(&pace, &store, 1).await, 0);
        assert_eq!(store.tried.get(), tried + 1, "only once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_is_down_is_told_at_once() {
        let (pace, store) = (Pace::new(clock(), clock), Slow::new(0));
        assert_eq!(write_all(&pace, &store, MAX_AT_ONCE).await, 0);
        assert_eq!(store.tried.get(), 64);
        let outcome: Result<(), _> =
            pace.send(async || Err(StoreError::Refused("a mistake of ours".into()))).await;
        assert!(matches!(outcome, Err(StoreError::Refused(_))));
    }
}
