//! Stops asking a service that is away, and finds out when it is back.

use std::time::Duration;

use tokio::time::Instant;

/// The requests that a circuit breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// Everything: the service answers.
    Closed,
    /// One request, to see whether it answers again.
    HalfOpen,
    /// Nothing.
    Open,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// The breaker of the claims. Time is an argument.
#[derive(Debug)]
pub(crate) struct Breaker {
    /// Failures in a row that open it.
    threshold: u32,
    /// How long it then stays open.
    open_for: Duration,
    state: State,
    failures: u32,
    opened: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(threshold: u32, open_for: Duration) -> Self {
        Self { threshold, open_for, state: State::Closed, failures: 0, opened: None }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Failures in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next request may go; `None`: now.
    pub(crate) fn ready_at(&self) -> Option<Instant> {
        match self.state {
            State::Open => self.opened.map(|opened| opened + self.open_for),
            State::Closed | State::HalfOpen => None,
        }
    }

    /// Lets one request through.
    pub(crate) fn probe(&mut self) {
        self.state = State::HalfOpen;
    }

    pub(crate) fn succeeded(&mut self) {
        self.state = State::Closed;
        self.failures = 0;
        self.opened = None;
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.state == State::HalfOpen || self.failures >= self.threshold {
            self.state = State::Open;
            self.opened = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn opens_after_failures_in_a_row_and_closes_by_one_success() {
        let start = Instant::now();
        let open_for = Duration::from_secs(15);
        let mut breaker = Breaker::new(3, open_for);
        breaker.failed(start);
        breaker.failed(start);
        breaker.succeeded();
        breaker.failed(start);
        breaker.failed(start);
        assert_eq!((breaker.state(), breaker.ready_at()), (State::Closed, None));
        breaker.failed(start);
        assert_eq!((breaker.state(), breaker.ready_at()), (State::Open, Some(start + open_for)));
        breaker.probe();
        assert_eq!((breaker.state(), breaker.ready_at()), (State::HalfOpen, None));
        let later = start + open_for;
        breaker.failed(later);
        assert_eq!(breaker.ready_at(), Some(later + open_for), "a probe that fails opens it again, at once");
        breaker.probe();
        breaker.succeeded();
        assert_eq!((breaker.state(), breaker.failures()), (State::Closed, 0));
    }
}
