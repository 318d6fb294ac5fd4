//! The pool: the values that all tries share, and how a run begins and ends.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jobledger_client::Backoff;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::RunError;
use crate::breaker::{Breaker, State};
use crate::claims;
use crate::client::Client;
use crate::handler::Handler;
use crate::metrics::Metrics;

/// How long a stop tries to hand back one job.
pub(crate) const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a handler that was dropped may hold up its slot: one that computes without waiting cannot be dropped.
pub(crate) const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) worker_id: String,
    pub(crate) types: Vec<String>,
    pub(crate) timeouts: BTreeMap<String, Duration>,
    pub(crate) concurrency: usize,
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) wait_seconds: u64,
    pub(crate) stop_timeout: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) progress_interval: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) breaker: (u32, Duration),
}

/// The values that all parts of a run share.
pub(crate) struct Pool {
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    pub(crate) handlers: BTreeMap<String, Handler>,
    pub(crate) metrics: Metrics,
    pub(crate) breaker: Mutex<Breaker>,
    /// A slot for each try at once. All are free when nothing runs.
    pub(crate) slots: Arc<Semaphore>,
    /// No more claims.
    pub(crate) stopping: CancellationToken,
    /// No more waiting: hand back.
    pub(crate) abandoned: CancellationToken,
    /// Why the run has to end by itself.
    failure: OnceLock<RunError>,
    failed: CancellationToken,
}

impl Pool {
    pub(crate) fn new(client: Client, settings: Settings, handlers: BTreeMap<String, Handler>) -> Self {
        let (failures, open_for) = settings.breaker;
        Self {
            client,
            metrics: Metrics::new(&settings),
            breaker: Mutex::new(Breaker::new(failures, open_for)),
            slots: Arc::new(Semaphore::new(settings.concurrency)),
            stopping: CancellationToken::new(),
            abandoned: CancellationToken::new(),
            failure: OnceLock::new(),
            failed: CancellationToken::new(),
            handlers,
            settings,
        }
    }

    /// Ends the run. The first reason counts.
    pub(crate) fn fail(&self, error: RunError) {
        if self.failure.set(error).is_ok() {
            self.failed.cancel();
        }
    }

    /// Looks at the breaker, or changes it, and shows what it then is.
    pub(crate) fn with_breaker<T>(&self, use_it: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = breaker.state();
        let answer = use_it(&mut breaker);
        let state = breaker.state();
        self.metrics.breaker(state);
        if before != state {
            tracing::info!(state = state.as_str(), "circuit breaker");
        }
        answer
    }

    pub(crate) fn breaker_state(&self) -> State {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner).state()
    }

    /// Runs until told to stop, or until there is no use in going on.
    pub(crate) async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let settings = &self.settings;
        self.metrics.up(true);
        tracing::info!(worker = settings.worker_id, types = ?settings.types, "working");

        // If this function ends, or is dropped, all that it started ends.
        let killed = CancellationToken::new();
        let _kill = killed.clone().drop_guard();
        let claims = claims::run(self.clone(), killed.clone());
        let mut claims = tokio::spawn(killed.clone().run_until_cancelled_owned(claims));
        tokio::select! {
            () = stop => tracing::info!("stopping"),
            () = self.failed.cancelled() => tracing::error!("stopping: the service will not have this worker"),
            _ = &mut claims => tracing::error!("stopping: claims ended by themselves"),
        }

        self.metrics.up(false);
        self.stopping.cancel();
        let deadline = Instant::now() + settings.stop_timeout;
        let idle = async {
            if !claims.is_finished() {
                // Claiming ends by itself, after it has handled the claim in flight.
                let _ended = (&mut claims).await;
            }
            let all = u32::try_from(settings.concurrency).unwrap_or(u32::MAX);
            // Never closed, so it ends when all slots are free.
            let _all = self.slots.acquire_many(all).await;
        };
        let mut idle = std::pin::pin!(idle);
        if timeout_at(deadline, &mut idle).await.is_err() {
            tracing::info!("handing back what still runs");
            self.abandoned.cancel();
            let rest = settings.cancel_grace + DROP_TIMEOUT + HAND_BACK_TIMEOUT;
            if timeout(rest, &mut idle).await.is_err() {
                tracing::error!("some jobs could not be handed back, and are left to their leases");
            }
        }
        tracing::info!("stopped");
        self.failure.get().cloned().map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}
