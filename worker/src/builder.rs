//! A worker's settings, checked when it is built.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use jobledger_client::Backoff;

use crate::client::Client;
use crate::handler::{Handler, handler};
use crate::pool::{Pool, Settings};
use crate::{BuildError, Outcome, Task, TaskError, Worker};

/// Most types that one claim can name.
const MAX_TYPES: usize = 20;
/// Most attempts that run at once in one worker.
const MAX_CONCURRENCY: usize = 1_000;
/// Longest name of a worker or a type.
const MAX_WORD: usize = 64;
/// Longest that a claim waits for work, in seconds.
const MAX_WAIT_SECONDS: u64 = 20;
/// Longest of the times without another bound: a day.
const MAX_SETTING: Duration = Duration::from_hours(24);

const DEFAULT_LEASE_SECONDS: u64 = 60;
const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(25);
const DEFAULT_CANCEL_GRACE: Duration = Duration::from_secs(5);
const DEFAULT_PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
const DEFAULT_BREAKER: (u32, Duration) = (5, Duration::from_secs(15));

/// Settings of a [`Worker`]. Made by [`Worker::builder`]; nothing is checked before [`build`](Self::build).
#[must_use]
pub struct WorkerBuilder {
    url: String,
    key: String,
    worker_id: Option<String>,
    handlers: BTreeMap<String, Handler>,
    timeouts: BTreeMap<String, Duration>,
    concurrency: usize,
    lease_seconds: u64,
    heartbeat: Option<Duration>,
    wait_seconds: u64,
    listen: Option<SocketAddr>,
    stop_timeout: Duration,
    cancel_grace: Duration,
    progress_interval: Duration,
    backoff: Backoff,
    breaker: (u32, Duration),
}

impl WorkerBuilder {
    pub(crate) fn new(url: String, key: String) -> Self {
        Self {
            url,
            key,
            worker_id: None,
            handlers: BTreeMap::new(),
            timeouts: BTreeMap::new(),
            concurrency: 1,
            lease_seconds: DEFAULT_LEASE_SECONDS,
            heartbeat: None,
            wait_seconds: MAX_WAIT_SECONDS,
            listen: None,
            stop_timeout: DEFAULT_STOP_TIMEOUT,
            cancel_grace: DEFAULT_CANCEL_GRACE,
            progress_interval: DEFAULT_PROGRESS_INTERVAL,
            backoff: DEFAULT_BACKOFF,
            breaker: DEFAULT_BREAKER,
        }
    }

    /// The name that jobs show for their worker: 1 to 64 letters, digits, `_` `-` `.` `:`. By default `worker-` and a
    /// random number, different at each start.
    pub fn worker_id(mut self, id: impl Into<String>) -> Self {
        self.worker_id = Some(id.into());
        self
    }

    /// Runs jobs of this type by an async function of the [`Task`]. It returns anything that becomes an [`Outcome`]: an
    /// `Outcome`, a JSON value, or nothing. A second handler for a type replaces the first. 1 to 20 types.
    ///
    /// Each attempt runs as its own task on the Tokio runtime. If it panics, it has failed, and may be retried. Code
    /// that computes for long without an `.await` belongs in `tokio::task::spawn_blocking`. The worker cannot stop such
    /// code. If it takes the runtime's last thread, no heartbeats are sent.
    pub fn handle<F, Fut, T>(mut self, kind: impl Into<String>, run: F) -> Self
    where
        F: Fn(Task) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
        T: Into<Outcome>,
    {
        self.handlers.insert(kind.into(), handler(run));
        self
    }

    /// Most attempts that run at once, of all types together: 1 to 1,000. By default 1.
    pub fn concurrency(mut self, tries: usize) -> Self {
        self.concurrency = tries;
        self
    }

    /// The length of a lease, from each report on: 10 to 900 seconds, by default 60. If the worker crashes, the job is
    /// tried again after this time.
    pub fn lease_seconds(mut self, seconds: u64) -> Self {
        self.lease_seconds = seconds;
        self
    }

    /// How often a lease is renewed: at most half of the lease. By default a third.
    pub fn heartbeat_every(mut self, interval: Duration) -> Self {
        self.heartbeat = Some(interval);
        self
    }

    /// How long a claim waits at the service for jobs: 0 to 20 seconds, and at most a third of the lease, because the
    /// lease counts from the sending of the claim. By default as long as allowed.
    pub fn wait_seconds(mut self, seconds: u64) -> Self {
        self.wait_seconds = seconds;
        self
    }

    /// The longest time of one attempt of this type. After it, the attempt has failed with the code `timeout`, and may
    /// be retried. If a job's own `timeout_seconds` is shorter, that counts.
    pub fn timeout(mut self, kind: impl Into<String>, timeout: Duration) -> Self {
        self.timeouts.insert(kind.into(), timeout);
        self
    }

    /// Serves `/metrics`, `/health` and `/stats` at this address, from [`build`](Self::build) on. Port 0 takes a free
    /// one ([`Worker::listen_addr`]). They need no key. By default the worker serves none.
    pub fn listen(mut self, address: impl Into<SocketAddr>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// How long a stop waits for attempts to end by themselves, before it cancels them and hands their jobs back. By
    /// default 25 seconds; at most a day.
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// How long a handler has after [`Task::cancelled`] fired, before its future is dropped. By default 5 seconds; at
    /// most a day.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// The shortest time between two reports of one job's progress. By default a second; at most a day. Each report
    /// costs the service one write.
    pub fn progress_interval(mut self, interval: Duration) -> Self {
        self.progress_interval = interval;
        self
    }

    /// The waits before a request is retried: jittered, doubling from `first` to `longest`. By default half a second
    /// and 30 seconds. `Retry-After` makes them longer.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = Backoff { first, longest };
        self
    }

    /// After this many claims in a row without an answer, no more are sent for this time. Then one is sent, to see
    /// whether the service is back. By default 5 and 15 seconds.
    pub fn breaker(mut self, failures: u32, open_for: Duration) -> Self {
        self.breaker = (failures, open_for);
        self
    }

    /// Checks all settings, and opens the address to [listen](Self::listen) at. It needs no runtime yet.
    pub fn build(self) -> Result<Worker, BuildError> {
        let client = Client::new(&self.url, &self.key)?;
        let worker_id = self.worker_id.unwrap_or_else(|| format!("worker-{:016x}", fastrand::u64(..)));
        if !is_word(&worker_id) {
            return Err(BuildError::WorkerId(worker_id));
        }
        if let Some(kind) = self.handlers.keys().find(|kind| !is_word(kind)) {
            return Err(BuildError::Type(kind.clone()));
        }
        if !(1..=MAX_TYPES).contains(&self.handlers.len()) {
            return Err(BuildError::Types(self.handlers.len()));
        }
        if let Some(kind) = self.timeouts.keys().find(|kind| !self.handlers.contains_key(*kind)) {
            return Err(BuildError::Timeout(kind.clone()));
        }
        let lease = Duration::from_secs(self.lease_seconds);
        let heartbeat = self.heartbeat.unwrap_or(lease / 3);
        let is_time = |time: Duration| (Duration::from_millis(1)..=MAX_SETTING).contains(&time);
        within((1..=MAX_CONCURRENCY).contains(&self.concurrency), "concurrency", "1 to 1,000")?;
        within((10..=900).contains(&self.lease_seconds), "lease_seconds", "10 to 900")?;
        within(self.wait_seconds <= MAX_WAIT_SECONDS, "wait_seconds", "0 to 20")?;
        within(is_time(heartbeat) && heartbeat <= lease / 2, "heartbeat_every", "1 ms to half the lease")?;
        within(self.timeouts.values().all(|timeout| !timeout.is_zero()), "timeout", "more than nothing")?;
        within(self.stop_timeout <= MAX_SETTING, "stop_timeout", "at most a day")?;
        within(self.cancel_grace <= MAX_SETTING, "cancel_grace", "at most a day")?;
        within(self.progress_interval <= MAX_SETTING, "progress_interval", "at most a day")?;
        let Backoff { first, longest } = self.backoff;
        within(
            is_time(first) && is_time(longest) && first <= longest,
            "backoff",
            "1 ms to a day, first to longest",
        )?;
        let (failures, open_for) = self.breaker;
        within(failures > 0 && is_time(open_for), "breaker", "at least 1 failure, and 1 ms to a day")?;

        let listener = self.listen.map(bound).transpose().map_err(BuildError::Listen)?;
        let settings = Settings {
            worker_id,
            types: self.handlers.keys().cloned().collect(),
            timeouts: self.timeouts,
            concurrency: self.concurrency,
            lease,
            heartbeat,
            // Less than a third of the lease, so that most of it is left when a job arrives.
            wait_seconds: self.wait_seconds.min(self.lease_seconds / 3),
            stop_timeout: self.stop_timeout,
            cancel_grace: self.cancel_grace,
            progress_interval: self.progress_interval,
            backoff: self.backoff,
            breaker: self.breaker,
        };
        Ok(Worker { pool: Arc::new(Pool::new(client, settings, self.handlers)), listener })
    }
}

fn bound(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn within(is_within: bool, name: &'static str, range: &'static str) -> Result<(), BuildError> {
    if is_within { Ok(()) } else { Err(BuildError::Range { name, range }) }
}

/// Whether the service accepts the text as the name of a worker or a type.
fn is_word(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    first && rest && text.len() <= MAX_WORD
}

/// Without the key.
impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("url", &self.url)
            .field("worker_id", &self.worker_id)
            .field("types", &self.handlers.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> WorkerBuilder {
        Worker::builder("http://127.0.0.1:1", "k").handle("a", |_| async { Ok(()) })
    }

    #[track_caller]
    fn refused(builder: WorkerBuilder, expect: &str) {
        let error = builder.build().expect_err("to be refused").to_string();
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_before_anything_runs() {
        assert!(good().build().is_ok());
        refused(Worker::builder("http://h", "k"), "this one 0");
        refused(good().worker_id("a b"), "worker's id");
        refused(good().handle("a/b", |_| async { Ok(()) }), "\"a/b\"");
        refused(
            (0..20).fold(good(), |all, n| all.handle(format!("t{n}"), |_| async { Ok(()) })),
            "this one 21",
        );
        refused(good().concurrency(0), "concurrency must be 1 to 1,000");
        refused(good().lease_seconds(9), "lease_seconds must be 10 to 900");
        refused(good().lease_seconds(901), "lease_seconds must be 10 to 900");
        refused(good().wait_seconds(21), "wait_seconds must be 0 to 20");
        refused(good().heartbeat_every(Duration::from_secs(31)), "heartbeat_every");
        refused(good().timeout("b", Duration::from_secs(1)), "\"b\", which has no handler");
        refused(good().timeout("a", Duration::ZERO), "timeout must be");
        refused(good().backoff(Duration::from_secs(2), Duration::from_secs(1)), "backoff");
        refused(good().breaker(0, Duration::from_secs(1)), "breaker");
    }

    #[test]
    fn a_long_poll_leaves_most_of_the_lease() {
        let wait = |lease| good().lease_seconds(lease).build().unwrap().pool.settings.wait_seconds;
        assert_eq!((wait(10), wait(30), wait(60), wait(900)), (3, 10, 20, 20));
    }
}
