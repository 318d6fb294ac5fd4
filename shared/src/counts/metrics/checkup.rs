//! A checkup: whether all that the service needs works, and since when.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::lag::Probing;
use super::reaper_run;
use crate::counts::tally::{Probe, last_probe};
use crate::domain::Timestamp;
use crate::metrics_store::MetricsStore;
use crate::store::{Ledger, Table};

/// Longest wait for one component.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a checkup is remembered, in milliseconds, so that many calls cost no more than few.
const REMEMBERED_MS: u64 = 5_000;
/// The lag of the counts from which on they are degraded, in milliseconds.
const MAX_LAG_MS: u64 = 60_000;
/// How long the reaper may be silent, in milliseconds. It runs each minute.
const MAX_SILENCE_MS: u64 = 180_000;

/// Whether something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It works.
    Healthy,
    /// It works, but not as it should.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// Nothing is known about it.
    Unknown,
}

/// A part of the service that may fail by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// A table.
    Table(Table),
    /// The counting of the streams.
    Counting,
    /// The reaper.
    Reaper,
    /// The operator's metrics store.
    MetricsStore,
}

/// The findings about one component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether it works.
    pub health: Health,
    /// Since when, as far as this execution environment knows.
    pub since: Timestamp,
    /// How long the answer took, in milliseconds. `None`: there was none.
    pub latency_ms: Option<u64>,
    /// By how much the counts lag behind the jobs, in milliseconds.
    pub lag_ms: Option<u64>,
    /// When the reaper ran last.
    pub last_run_at: Option<Timestamp>,
}

/// The findings about all components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// When.
    pub checked_at: Timestamp,
    /// By component.
    pub findings: BTreeMap<Component, Finding>,
}

/// Makes checkups. It remembers the last one.
#[derive(Debug, Default)]
pub struct Checker {
    probing: Probing,
    last: Mutex<Option<Checkup>>,
}

impl Component {
    /// Whether the service can do nothing without it.
    fn is_vital(self) -> bool {
        matches!(self, Self::Table(Table::Jobs | Table::Settings))
    }
}

impl Finding {
    fn new(health: Health, since: Timestamp, latency_ms: Option<u64>) -> Self {
        Self { health, since, latency_ms, lag_ms: None, last_run_at: None }
    }
}

impl Checkup {
    /// Whether the service works.
    pub fn overall(&self) -> Health {
        let mut overall = Health::Healthy;
        for (component, finding) in &self.findings {
            match finding.health {
                Health::Unhealthy if component.is_vital() => return Health::Unhealthy,
                Health::Unhealthy | Health::Degraded => overall = Health::Degraded,
                Health::Healthy | Health::Unknown => {}
            }
        }
        overall
    }

    /// A component that is as it was has been so for as long as before.
    fn since(mut self, last: Option<&Self>) -> Self {
        for (component, finding) in &mut self.findings {
            let before = last.and_then(|last| last.findings.get(component));
            if let Some(before) = before.filter(|before| before.health == finding.health) {
                finding.since = before.since;
            }
        }
        self
    }
}

impl Checker {
    /// The last checkup, if it is fresh, and else a new one. Calls that come meanwhile wait for it.
    pub async fn check(&self, ledger: &Ledger, metrics: &MetricsStore, now: Timestamp) -> Checkup {
        let mut last = self.last.lock().await;
        if let Some(fresh) = last.as_ref().filter(|last| now.since(last.checked_at) < REMEMBERED_MS) {
            return fresh.clone();
        }
        let checkup = self.look(ledger, metrics, now).await.since(last.as_ref());
        *last = Some(checkup.clone());
        checkup
    }

    /// Looks at everything side by side.
    async fn look(&self, ledger: &Ledger, metrics: &MetricsStore, now: Timestamp) -> Checkup {
        let tables = futures_util::future::join_all(Table::ALL.map(|table| async move {
            let answer = timed(ledger.ping(table)).await;
            (Component::Table(table), answer.finding(now))
        }));
        let asked = async { if metrics.is_set() { Some(timed(metrics.check(now)).await) } else { None } };
        let (tables, counting, reaper, metrics, ()) = tokio::join!(
            tables,
            timed(last_probe(&ledger.store, &ledger.config.tables)),
            timed(reaper_run::last(&ledger.store, &ledger.config.tables)),
            asked,
            self.probing.send(ledger, now),
        );
        let mut findings: BTreeMap<_, _> = tables.into_iter().collect();
        findings.insert(Component::Counting, self.counting(counting, now));
        findings.insert(Component::Reaper, Self::reaper(reaper, now));
        if let Some(answer) = metrics {
            findings.insert(Component::MetricsStore, answer.finding(now));
        }
        Checkup { checked_at: now, findings }
    }

    fn counting(&self, probe: Answer<Option<Probe>>, now: Timestamp) -> Finding {
        let lag_ms = probe.value.map(|probe| self.probing.lag_ms(probe, now));
        let health = match lag_ms {
            Some(MAX_LAG_MS..) => Health::Degraded,
            Some(_) => Health::Healthy,
            None => Health::Unknown,
        };
        Finding { lag_ms, ..Finding::new(health, now, probe.latency_ms) }
    }

    /// Before its first run, nothing is known about the reaper.
    fn reaper(run: Answer<Option<Timestamp>>, now: Timestamp) -> Finding {
        let last_run_at = run.value.flatten();
        let health = match last_run_at {
            Some(at) if now.since(at) > MAX_SILENCE_MS => Health::Degraded,
            Some(_) => Health::Healthy,
            None => Health::Unknown,
        };
        Finding { last_run_at, ..Finding::new(health, now, run.latency_ms) }
    }
}

/// An answer of the store, and the milliseconds that it took. If there was none, both are `None`.
#[derive(Clone, Copy)]
struct Answer<T> {
    value: Option<T>,
    latency_ms: Option<u64>,
}

impl<T> Answer<T> {
    /// The finding about a component that works if it answers.
    fn finding(&self, now: Timestamp) -> Finding {
        let health = if self.value.is_some() { Health::Healthy } else { Health::Unhealthy };
        Finding::new(health, now, self.latency_ms)
    }
}

/// Waits for an answer, but not for long.
async fn timed<T, E: std::error::Error + 'static>(asked: impl Future<Output = Result<T, E>>) -> Answer<T> {
    let began = Instant::now();
    match timeout(PATIENCE, asked).await {
        Ok(Ok(value)) => {
            let latency_ms = u64::try_from(began.elapsed().as_millis()).ok();
            return Answer { value: Some(value), latency_ms };
        }
        Ok(Err(error)) => warn(&error),
        Err(elapsed) => warn(&elapsed),
    }
    Answer { value: None, latency_ms: None }
}

fn warn(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "a checkup found an error");
}
