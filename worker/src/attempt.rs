//! One try of a job: its handler, its heartbeats, its end.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::claims::Leased;
use crate::client::{Failure, Reported};
use crate::finish;
use crate::handler::{Handled, Handler, Running};
use crate::http::Body;
use crate::metrics::Ended;
use crate::pool::{DROP_TIMEOUT, Pool};
use crate::progress::Snapshot;
use crate::report;
use crate::task::Task;
use crate::{RunError, TaskError};

/// The end of a handler's time.
#[derive(Debug)]
enum End {
    /// It ended by itself.
    Handled(Handled),
    /// The job was cancelled.
    Cancelled,
    /// The job is no longer this worker's, or may have been given away by now.
    Lost(String),
    /// The try took too long.
    TimedOut(Duration),
    /// The worker stops.
    Abandoned,
}

/// A report in flight: when it was sent, the progress in it, and its answer.
struct Sent {
    at: Instant,
    snapshot: Option<Snapshot>,
    answer: Result<Reported, Failure>,
}

/// Runs one try to its end, and reports that.
pub(crate) async fn run(pool: &Pool, leased: Leased, handler: &Handler) {
    let Leased { task, sent } = leased;
    let kind = task.kind().to_owned();
    let active = pool.metrics.active(&kind);
    tracing::debug!(job = task.id(), kind, attempt = task.attempt(), "begun");
    let mut try_ = Try {
        pool,
        lease_end: sent + pool.settings.lease,
        next_beat: sent + pool.settings.heartbeat,
        last_sent: None,
        failures: 0,
        task,
    };
    let end = if let Some(end) = try_.acknowledge().await {
        end
    } else {
        let mut running = Running::start(handler, try_.task.clone());
        let end = try_.watch(&mut running).await;
        try_.wind_down(end, &mut running).await
    };
    let ended = try_.report(end).await;
    tracing::debug!(job = try_.task.id(), kind, outcome = ended.as_str(), "ended");
    pool.metrics.ended(&kind, ended);
    drop(active);
}

/// Hands back a job whose handler never began.
pub(crate) async fn hand_back(pool: &Pool, leased: Leased) {
    let kind = leased.task.kind().to_owned();
    let ended = finish::hand_back(pool, &leased.task, leased.sent + pool.settings.lease).await;
    pool.metrics.ended(&kind, ended);
}

struct Try<'a> {
    pool: &'a Pool,
    task: Task,
    /// The time at which the lease may be over. It counts from the sending of the last accepted report.
    lease_end: Instant,
    next_beat: Instant,
    last_sent: Option<Instant>,
    /// Reports in a row that failed.
    failures: u32,
}

impl<'a> Try<'a> {
    /// Sends the first report, which the claim promised, until the service accepts it. If it never does, no handler has
    /// started, and the attempt costs the job nothing. `Some`: the handler must not start.
    async fn acknowledge(&mut self) -> Option<End> {
        loop {
            let (report, lease_end) = (self.send(), self.lease_end);
            let sent = tokio::select! {
                biased;
                () = self.pool.abandoned.cancelled() => return Some(End::Abandoned),
                sent = report => sent,
                () = sleep_until(lease_end) => return Some(never_accepted()),
            };
            if let Some(end) = self.heard(sent) {
                return Some(end);
            }
            if self.failures == 0 {
                // The first progress need not wait after this report.
                self.last_sent = None;
                return None;
            }
            tokio::select! {
                biased;
                () = self.pool.abandoned.cancelled() => return Some(End::Abandoned),
                () = sleep_until(self.lease_end) => return Some(never_accepted()),
                () = sleep_until(self.next_beat) => {}
            }
        }
    }

    /// Sends heartbeats and progress until something ends the handler's time.
    async fn watch(&mut self, running: &mut Running) -> End {
        let timeout = self.timeout();
        let out_of_time = timeout.map(|timeout| Instant::now() + timeout);
        let mut under_way: Option<Pin<Box<dyn Future<Output = Sent> + Send + 'a>>> = None;
        loop {
            let is_free = under_way.is_none();
            let due = self.due();
            let answered = async {
                match &mut under_way {
                    Some(report) => report.await,
                    None => pending().await,
                }
            };
            let too_late = async {
                match out_of_time {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                handled = &mut *running => {
                    // A report in flight gets a short time to end, because two reports of a job must never run at once.
                    if let Some(report) = under_way
                        && let Ok(sent) = timeout_at(Instant::now() + DROP_TIMEOUT, report).await
                    {
                        // Its answer about the job does not matter: the last report gets an answer, too.
                        let _end = self.heard(sent);
                    }
                    return End::Handled(handled);
                }
                () = self.pool.abandoned.cancelled() => return End::Abandoned,
                () = too_late => return End::TimedOut(timeout.unwrap_or_default()),
                sent = answered => {
                    under_way = None;
                    if let Some(end) = self.heard(sent) {
                        return end;
                    }
                }
                () = sleep_until(self.lease_end) => {
                    return never_accepted();
                }
                () = sleep_until(due), if is_free => under_way = Some(self.send()),
                () = self.task.progress.changed.notified() => {}
            }
        }
    }

    /// When the next report is due: the heartbeat, or progress that was not sent yet, though not too often.
    fn due(&self) -> Instant {
        if self.failures > 0 || self.task.progress.unsent().is_none() {
            return self.next_beat;
        }
        let again = self.last_sent.map(|at| at + self.pool.settings.progress_interval);
        again.unwrap_or_else(Instant::now).min(self.next_beat)
    }

    fn send(&mut self) -> Pin<Box<dyn Future<Output = Sent> + Send + 'a>> {
        let at = Instant::now();
        self.last_sent = Some(at);
        let snapshot = self.task.progress.unsent();
        let progress = snapshot.as_ref().map(|snapshot| &snapshot.body);
        let body = Body::of(&report::held(&self.task, self.pool.settings.lease, progress));
        let (pool, job) = (self.pool, self.task.job.clone());
        Box::pin(async move {
            let answer = pool.client.report(&job, &body).await;
            Sent { at, snapshot, answer }
        })
    }

    /// Takes note of a report's answer. `Some`: the handler's time is over.
    fn heard(&mut self, sent: Sent) -> Option<End> {
        let id = self.task.id();
        match sent.answer {
            Ok(Reported { cancel: true }) => return Some(End::Cancelled),
            Ok(Reported { cancel: false }) => {
                self.failures = 0;
                self.lease_end = sent.at + self.pool.settings.lease;
                self.next_beat = sent.at + self.pool.settings.heartbeat;
                if let Some(snapshot) = &sent.snapshot {
                    self.task.progress.settle(snapshot);
                }
            }
            Err(Failure::Away(error, retry_after)) => {
                tracing::warn!(job = id, "a heartbeat failed: {error}");
                self.again(retry_after);
            }
            Err(Failure::Limited(retry_after)) => self.again(retry_after),
            Err(Failure::Denied(problem)) => {
                self.pool.fail(RunError::denied(&problem));
                return Some(End::Lost(problem.to_string()));
            }
            Err(Failure::Refused(problem)) if matches!(problem.status, 404 | 409) => {
                return Some(finish::end_of(&problem).map_or(End::Cancelled, End::Lost));
            }
            Err(Failure::Refused(problem)) => {
                // For example, the progress is refused. It is left out, so that the lease does not end because of it.
                tracing::error!(job = id, "a report was refused: {problem}");
                if let Some(snapshot) = &sent.snapshot {
                    self.task.progress.settle(snapshot);
                }
                self.again(None);
            }
        }
        None
    }

    /// Makes the next report follow sooner than a heartbeat, though not at once.
    fn again(&mut self, retry_after: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.pool.settings.backoff.wait(self.failures, retry_after);
        // A wait that the service asks for comes first. Else the next heartbeat is no later than without a failure.
        let wait = if retry_after.is_some() { wait } else { wait.min(self.pool.settings.heartbeat) };
        self.next_beat = Instant::now() + wait;
    }

    /// The shorter one of what the type and what the job may take.
    fn timeout(&self) -> Option<Duration> {
        let of_type = self.pool.settings.timeouts.get(self.task.kind()).copied();
        let of_job = self.task.job.timeout_seconds.map(Duration::from_secs);
        [of_type, of_job].into_iter().flatten().min()
    }

    /// Tells the handler that its time is over, and drops it when it does not end in time.
    async fn wind_down(&self, end: End, running: &mut Running) -> End {
        if matches!(end, End::Handled(_)) {
            return end;
        }
        self.task.cancelled.cancel();
        let grace = Instant::now() + self.pool.settings.cancel_grace;
        // If the lease is valid, two workers must not run the job, so the grace ends with the lease. If the lease is
        // lost, the grace is not shortened.
        let until = if self.lease_end > Instant::now() { grace.min(self.lease_end) } else { grace };
        match timeout_at(until, &mut *running).await {
            // The handler ended before its job had to be handed back. An error is most likely due to the cancellation.
            Ok(Ok(outcome)) if matches!(end, End::Abandoned) => End::Handled(Ok(outcome)),
            Ok(_) => end,
            Err(_) => {
                running.abort();
                if timeout_at(Instant::now() + DROP_TIMEOUT, running).await.is_err() {
                    tracing::error!(
                        job = self.task.id(),
                        "a handler computes on although it was cancelled: let it wait for something now and then"
                    );
                }
                end
            }
        }
    }

    async fn report(&self, end: End) -> Ended {
        let (pool, task) = (self.pool, &self.task);
        match end {
            End::Handled(Ok(outcome)) => finish::completed(pool, task, &outcome, self.lease_end).await,
            End::Handled(Err(error)) => finish::failed(pool, task, &error, self.lease_end).await,
            End::TimedOut(timeout) => {
                let error = TaskError::new(format!("the try took longer than {timeout:?}")).code("timeout");
                match finish::failed(pool, task, &error, self.lease_end).await {
                    Ended::Failed => Ended::Timeout,
                    other => other,
                }
            }
            End::Abandoned => finish::hand_back(pool, task, self.lease_end).await,
            End::Cancelled => Ended::Cancelled,
            End::Lost(why) => {
                tracing::warn!(job = task.id(), "the job is no longer this worker's: {why}");
                Ended::Lost
            }
        }
    }
}

fn never_accepted() -> End {
    End::Lost("no report was accepted for as long as the lease".to_owned())
}

#[cfg(test)]
mod tests;
