//! The expected numbers, counted one by one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jobledger::domain::Timestamp;
use jobledger_tests::percentiles::percentiles;
use serde_json::{Value, json};

pub(super) const STATUSES: [&str; 5] = ["queued", "running", "completed", "failed", "cancelled"];

/// A job in the source system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) external_id: String,
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
    pub(super) created_at: Timestamp,
    /// Milliseconds until it starts.
    pub(super) wait_ms: u64,
    /// Whether it was queued again after its end. Then it is due from that later moment.
    pub(super) is_requeued: bool,
    /// Milliseconds from its start to its end.
    pub(super) run_ms: u64,
    pub(super) cost: Option<u64>,
    pub(super) model: Option<String>,
    pub(super) team: Option<String>,
}

/// An event of a job, counted at the job's time of creation.
#[derive(Clone, Copy, Debug)]
enum Event {
    Created,
    Removed,
    Ended(&'static str),
    Waited(u64),
    Ran(u64),
}

/// All jobs that exist, and all events.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) jobs: BTreeMap<String, Job>,
    events: Vec<(Timestamp, Event)>,
    /// Removed jobs, in their last state.
    gone: Vec<Job>,
}

fn money(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// A decimal number, as a JSON number.
pub(super) fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}

fn seconds(millis: Option<u64>) -> Value {
    millis.map_or(Value::Null, |millis| number(&format!("{}.{:03}", millis / 1_000, millis % 1_000)))
}

fn millis(number: u64) -> i64 {
    i64::try_from(number).expect("a span of time")
}

impl Job {
    fn has_started(&self) -> bool {
        ["running", "completed", "failed"].contains(&self.status)
    }

    fn has_ended(&self) -> bool {
        STATUSES[2..].contains(&self.status)
    }

    pub(super) fn to_ingest(&self) -> Value {
        let mut labels = json!({});
        for (name, value) in [("model", &self.model), ("team", &self.team)] {
            if let Some(value) = value {
                labels[name] = json!(value);
            }
        }
        let started_at = self.created_at.plus_millis(millis(self.wait_ms));
        let mut job = json!({
            "external_id": self.external_id, "type": self.kind, "status": self.status,
            "created_at": self.created_at, "labels": labels, "cost_usd": self.cost.map(money),
            "payload": self.external_id,
        });
        if self.has_started() {
            job["started_at"] = json!(started_at);
        }
        if self.has_ended() {
            job["completed_at"] = json!(started_at.plus_millis(millis(self.run_ms)));
        }
        if self.status == "failed" {
            job["error"] = json!("it broke");
        }
        job
    }
}

impl Model {
    fn happened(&mut self, job: &Job, event: Event) {
        self.events.push((job.created_at, event));
    }

    fn began_and_ended(&mut self, job: &Job, waited: bool, wait_ms: u64) {
        if waited && job.has_started() {
            self.happened(job, Event::Waited(wait_ms));
        }
        if job.has_ended() {
            self.happened(job, Event::Ended(job.status));
            if job.has_started() {
                self.happened(job, Event::Ran(job.run_ms));
            }
        }
    }

    pub(super) fn create(&mut self, job: Job) {
        self.happened(&job, Event::Created);
        self.began_and_ended(&job, true, job.wait_ms);
        self.jobs.insert(job.external_id.clone(), job);
    }

    pub(super) fn update(&mut self, new: Job) {
        let old = self.jobs.remove(&new.external_id).expect("a job");
        let minute = |job: &Job| job.created_at.millis().div_euclid(60_000);
        if old.kind != new.kind || minute(&old) != minute(&new) {
            self.happened(&old, Event::Removed);
            return self.create(new);
        }
        if old.status != new.status {
            let wait_ms = if old.is_requeued { 0 } else { new.wait_ms };
            self.began_and_ended(&new, old.status == "queued", wait_ms);
        }
        self.jobs.insert(new.external_id.clone(), new);
    }

    pub(super) fn remove(&mut self, external_id: &str) {
        let job = self.jobs.remove(external_id).expect("a job");
        self.happened(&job, Event::Removed);
        self.gone.push(job);
    }

    pub(super) fn ended(&self) -> Vec<String> {
        self.jobs.values().filter(|job| job.has_ended()).map(|job| job.external_id.clone()).collect()
    }

    fn by_status(&self, is_wanted: impl Fn(&Job) -> bool) -> BTreeMap<&'static str, u64> {
        let count = |status| self.jobs.values().filter(|job| job.status == status && is_wanted(job)).count();
        STATUSES.into_iter().map(|status| (status, count(status) as u64)).collect()
    }

    /// The expected answer of `GET /v1/jobs/count`.
    pub(super) fn count(&self, from: Timestamp, to: Timestamp, filter: &str) -> Value {
        let words = |name: &str| -> Option<Vec<String>> {
            let found = filter.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(|words| words.split(',').map(str::to_owned).collect())
        };
        let (types, statuses) = (words("type"), words("status"));
        let has = |words: &Option<Vec<String>>, word: &str| {
            words.as_ref().is_none_or(|words| words.iter().any(|known| known == word))
        };
        let is_wanted = |job: &Job| {
            (from..=to).contains(&job.created_at) && has(&types, job.kind) && has(&statuses, job.status)
        };
        let mut by_type: BTreeMap<&str, u64> = BTreeMap::new();
        for job in self.jobs.values().filter(|job| is_wanted(job)) {
            *by_type.entry(job.kind).or_default() += 1;
        }
        let by_status = self.by_status(is_wanted);
        json!({
            "total": by_status.values().sum::<u64>(), "total_kind": "exact", "by_status": by_status, "by_type": by_type,
        })
    }

    /// The expected answer of `GET /v1/jobs/stats`.
    pub(super) fn stats(&self, from: Timestamp, to: Timestamp, used_bytes: u64) -> Value {
        let (from, to) = widened(from, to, 3_600_000);
        let within = |time: Timestamp| (from..=to).contains(&time);
        let alive = self.by_status(|job| within(job.created_at));
        let mut ended = BTreeMap::from([("completed", 0_u64), ("failed", 0), ("cancelled", 0)]);
        let (mut created, mut removed, mut waits, mut runs) = (0, 0, Vec::new(), Vec::new());
        for (_, event) in self.events.iter().filter(|(time, _)| within(*time)) {
            match event {
                Event::Created => created += 1,
                Event::Removed => removed += 1,
                Event::Ended(status) => *ended.entry(status).or_default() += 1,
                Event::Waited(millis) => waits.push(*millis),
                Event::Ran(millis) => runs.push(*millis),
            }
        }
        let ends = ended.values().sum::<u64>();
        // Rounded to the nearest hundredth of a percent.
        let rate = (ended["completed"] * 20_000 + ends).checked_div(2 * ends);
        let rate = rate.map_or(Value::Null, |rate| number(&format!("{}.{:02}", rate / 100, rate % 100)));
        let total = |measured: &[u64]| (!measured.is_empty()).then(|| measured.iter().sum::<u64>());
        let mean = |measured: &[u64]| total(measured).map(|sum| sum / measured.len() as u64);
        json!({
            "total_jobs": alive.values().sum::<u64>(), "status_breakdown": alive,
            "created_jobs": created, "removed_jobs": removed, "ended": ended, "success_rate": rate,
            "processing_metrics": {
                "total_processing_seconds": seconds(total(&runs)),
                "mean_processing_seconds": seconds(mean(&runs)),
                "processing_percentiles_seconds": percentiles(&runs),
                "mean_wait_seconds": seconds(mean(&waits)),
                "wait_percentiles_seconds": percentiles(&waits),
            },
            "storage": { "used_bytes": used_bytes, "quota_bytes": null, "percent": null },
            "date_range": range(from, to),
        })
    }

    /// The expected answer of `GET /v1/analytics/cost/by-…`.
    pub(super) fn costs(&self, from: Timestamp, to: Timestamp, by: &str) -> Value {
        let (from, to) = widened(from, to, 86_400_000);
        let mut sums: BTreeMap<Option<&str>, (u64, u64)> = BTreeMap::new();
        for job in self.jobs.values().chain(&self.gone) {
            let label = if by == "model" { &job.model } else { &job.team };
            if (from..=to).contains(&job.created_at) && (label.is_some() || job.cost.is_some()) {
                let sum = sums.entry(label.as_deref()).or_default();
                *sum = (sum.0 + job.cost.unwrap_or(0), sum.1 + 1);
            }
        }
        let total: u64 = sums.values().map(|(cost, _)| cost).sum();
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by_key(|(label, (cost, _))| (Reverse(*cost), label.is_none(), *label));
        let items = sums.into_iter();
        let items =
            items.map(|(label, (cost, jobs))| json!({ by: label, "cost_usd": money(cost), "jobs": jobs }));
        json!({
            "items": items.collect::<Vec<_>>(), "total_cost_usd": money(total), "date_range": range(from, to),
        })
    }
}

/// A range, widened to whole spans.
fn widened(from: Timestamp, to: Timestamp, span_ms: i64) -> (Timestamp, Timestamp) {
    let floor = |time: Timestamp| time.millis().div_euclid(span_ms) * span_ms;
    (Timestamp::from_millis(floor(from)), Timestamp::from_millis(floor(to) + span_ms - 1))
}

fn range(from: Timestamp, to: Timestamp) -> Value {
    let from = (from != Timestamp::MIN).then_some(from);
    let to = (to != Timestamp::MAX).then_some(to);
    json!({ "from": from, "to": to })
}
