//! The worker, from its settings to its end.

use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use crate::pool::Pool;
use crate::{RunError, WorkerBuilder, server};

/// A pool that runs jobs.
#[derive(Debug)]
#[must_use = "a worker does nothing before it is run"]
pub struct Worker {
    pub(crate) pool: Arc<Pool>,
    pub(crate) listener: Option<TcpListener>,
}

impl Worker {
    /// Begins a worker for the service at this address (before `/v1/jobs`), with a key of the scope `work`.
    pub fn builder(url: impl Into<String>, key: impl Into<String>) -> WorkerBuilder {
        WorkerBuilder::new(url.into(), key.into())
    }

    /// The address of `/metrics`, `/health` and `/stats`.
    pub fn listen_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Works until the process is told to stop, by SIGTERM (on Unix) or Ctrl-C. The stop is graceful; see
    /// [`run_until`](Self::run_until). If it is told again, it ends at once ([`RunError::StoppedTwice`]).
    pub async fn run(self) -> Result<(), RunError> {
        let signals = || Signals::new().map_err(|error| RunError::Signals(error.to_string()));
        let (mut first, mut both) = (signals()?, signals()?);
        let twice = async {
            both.any().await;
            both.any().await;
        };
        tokio::select! {
            ended = self.run_until(first.any()) => ended,
            () = twice => Err(RunError::StoppedTwice),
        }
    }

    /// Works until this future ends, or until going on has no use. Then it claims no more, waits for running attempts
    /// ([`WorkerBuilder::stop_timeout`]), cancels and hands back the others, and returns. If the returned future is
    /// dropped, the worker stops at once, and leaves its attempts to their leases.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let shown = self.listener.map(|listener| server::serve(self.pool.clone(), listener));
        let shown = async {
            if let Some(shown) = shown {
                shown.await;
            }
            pending::<()>().await;
        };
        tokio::select! {
            ended = self.pool.clone().run(stop) => ended,
            () = shown => Ok(()),
        }
    }
}

/// The signals that tell a process to stop. Once this exists, they no longer end the process by themselves.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn any(&mut self) {
        // If Ctrl-C cannot be caught, it ends the process as usual.
        if tokio::signal::ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    }
}
