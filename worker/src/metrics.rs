//! The metrics of a worker, for Prometheus and as JSON. Every series is there from the start.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::breaker::State;
use crate::client::Failure;
use crate::pool::Settings;
use crate::task::Job;

/// Upper bounds of the claims' histogram, in seconds. A claim may wait for work up to 20.
const CLAIM_BOUNDS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 21.0];

/// How a try ended, as far as this worker knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    Completed,
    Failed,
    HandedBack,
    Lost,
    Cancelled,
    Timeout,
}

impl Ended {
    const ALL: [Self; 6] =
        [Self::Completed, Self::Failed, Self::HandedBack, Self::Lost, Self::Cancelled, Self::Timeout];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::HandedBack => "handed_back",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
        }
    }
}

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Claimed {
    Jobs,
    Nothing,
    Away,
    Limited,
    Refused,
}

impl Claimed {
    const ALL: [Self; 5] = [Self::Jobs, Self::Nothing, Self::Away, Self::Limited, Self::Refused];

    pub(crate) fn of(answer: &Result<Vec<Job>, Failure>) -> Self {
        match answer {
            Ok(jobs) if jobs.is_empty() => Self::Nothing,
            Ok(_) => Self::Jobs,
            Err(Failure::Away(..)) => Self::Away,
            Err(Failure::Limited(_)) => Self::Limited,
            Err(Failure::Denied(_) | Failure::Refused(_)) => Self::Refused,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Nothing => "empty",
            Self::Away => "away",
            Self::Limited => "limited",
            Self::Refused => "refused",
        }
    }
}

/// Makes a closed set of words stand as a label's value.
macro_rules! label_value {
    ($($name:ident),+) => {$(
        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
                self.as_str().encode(encoder)
            }
        }
    )+};
}
label_value!(Ended, Claimed, State);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTypeEnded {
    r#type: String,
    outcome: Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfClaim {
    outcome: Claimed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: State,
}

/// The numbers of one worker.
pub(crate) struct Metrics {
    worker_id: String,
    types: Vec<String>,
    built: Instant,
    up: Gauge,
    concurrency: Gauge,
    active: Family<OfType, Gauge>,
    processed: Family<OfTypeEnded, Counter>,
    claims: Family<OfClaim, Counter>,
    claim_seconds: Histogram,
    /// Beside the histogram, which does not tell what it has.
    claim_millis: AtomicU64,
    breaker: Family<OfState, Gauge>,
    retried: Counter,
    dropped: Counter,
}

/// A try that is being worked on, until this is dropped.
pub(crate) struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new(settings: &Settings) -> Self {
        let metrics = Self {
            worker_id: settings.worker_id.clone(),
            types: settings.types.clone(),
            built: Instant::now(),
            up: Gauge::default(),
            concurrency: Gauge::default(),
            active: Family::default(),
            processed: Family::default(),
            claims: Family::default(),
            claim_seconds: Histogram::new(CLAIM_BOUNDS),
            claim_millis: AtomicU64::default(),
            breaker: Family::default(),
            retried: Counter::default(),
            dropped: Counter::default(),
        };
        metrics.concurrency.set(i64::try_from(settings.concurrency).unwrap_or(i64::MAX));
        for kind in &settings.types {
            drop(metrics.active.get_or_create(&OfType { r#type: kind.clone() }));
            for outcome in Ended::ALL {
                drop(metrics.processed.get_or_create(&OfTypeEnded { r#type: kind.clone(), outcome }));
            }
        }
        for outcome in Claimed::ALL {
            drop(metrics.claims.get_or_create(&OfClaim { outcome }));
        }
        metrics.breaker(State::Closed);
        metrics
    }

    pub(crate) fn up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up.get() == 1
    }

    pub(crate) fn active(&self, kind: &str) -> Active {
        let gauge = self.active.get_or_create_owned(&OfType { r#type: kind.to_owned() });
        gauge.inc();
        Active(gauge)
    }

    /// Counts the end of an attempt. A type without a handler is not counted, because others choose its name.
    pub(crate) fn ended(&self, kind: &str, outcome: Ended) {
        if self.types.iter().any(|known| known == kind) {
            self.processed.get_or_create(&OfTypeEnded { r#type: kind.to_owned(), outcome }).inc();
        }
    }

    /// How many tries of a type ended so.
    pub(crate) fn count(&self, kind: &str, outcome: Ended) -> u64 {
        self.processed.get_or_create(&OfTypeEnded { r#type: kind.to_owned(), outcome }).get()
    }

    pub(crate) fn claimed(&self, outcome: Claimed, took: Duration) {
        self.claims.get_or_create(&OfClaim { outcome }).inc();
        self.claim_seconds.observe(took.as_secs_f64());
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.claim_millis.fetch_add(millis, Ordering::Relaxed);
    }

    pub(crate) fn breaker(&self, now: State) {
        for state in State::ALL {
            self.breaker.get_or_create(&OfState { state }).set(i64::from(state == now));
        }
    }

    pub(crate) fn report_retried(&self) {
        self.retried.inc();
    }

    pub(crate) fn report_dropped(&self) {
        self.dropped.inc();
    }

    /// The same numbers, to be written for Prometheus.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::default();
        if let Some(bytes) = resident_bytes() {
            let memory = Gauge::<i64>::default();
            memory.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            let help = "Memory of this process that is in RAM";
            registry.register_with_unit("process_resident_memory", help, Unit::Bytes, memory);
        }
        let r = registry.sub_registry_with_prefix("jobledger_worker");
        r.register("up", "1 while the worker claims jobs, 0 while it stops", self.up.clone());
        r.register("concurrency", "Tries that may run at once", self.concurrency.clone());
        r.register("active_tasks", "Tries that run now, by type", self.active.clone());
        r.register("events_processed", "Tries that ended, by type and outcome", self.processed.clone());
        r.register("claims", "Claims, by what became of them", self.claims.clone());
        let help = "Time from a claim to its answer, waiting for work included";
        r.register_with_unit("claim_duration", help, Unit::Seconds, self.claim_seconds.clone());
        r.register(
            "circuit_breaker_state",
            "1 for the state that the claims' breaker is in",
            self.breaker.clone(),
        );
        r.register("reports_retried", "Last reports that were sent again", self.retried.clone());
        r.register("reports_dropped", "Last reports that nobody took in time", self.dropped.clone());
        registry
    }

    /// The same numbers as JSON.
    pub(crate) fn stats(&self, breaker: State) -> Value {
        let (mut active, mut processed) = (Map::new(), Map::new());
        for kind in &self.types {
            let label = OfType { r#type: kind.clone() };
            active.insert(kind.clone(), json!(self.active.get_or_create(&label).get()));
            let by_outcome =
                Ended::ALL.map(|outcome| (outcome.as_str().to_owned(), json!(self.count(kind, outcome))));
            processed.insert(kind.clone(), Value::Object(by_outcome.into_iter().collect()));
        }
        let claims = Claimed::ALL.map(|outcome| {
            (outcome.as_str().to_owned(), json!(self.claims.get_or_create(&OfClaim { outcome }).get()))
        });
        json!({
            "worker_id": self.worker_id,
            "up": self.is_up(),
            "uptime_seconds": self.built.elapsed().as_secs(),
            "concurrency": self.concurrency.get(),
            "active_tasks": active,
            "events_processed": processed,
            "claims": Map::from_iter(claims),
            "claim_duration_ms_sum": self.claim_millis.load(Ordering::Relaxed),
            "circuit_breaker": breaker.as_str(),
            "reports_retried": self.retried.get(),
            "reports_dropped": self.dropped.get(),
            "resident_memory_bytes": resident_bytes(),
        })
    }
}

/// Memory of this process that is in RAM. Linux only; `status` tells it in KiB, so that pages of any size do.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}
