//! `GET /v1/jobs/stats`: how many jobs there are and were, how they ended, and how long they took.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::counts::{Granularity, JobNumbers, JobStats, Percentiles, Spans};
use jobledger::domain::{Invalid, Rate, Seconds, Status};
use jobledger::http::{
    Access, Answer, Call, DateRange, Problem, Route, RouteKey, Scope, Served, Serves, StorageView,
    created_range, function, types,
};
use jobledger::store::Ledger;
use serde::Serialize;

use super::failures::ListFailures;

/// The function.
pub const FUNCTION: Function = function::<JobStatistics>();

pub(super) const NAME: &str = "get-job-stats";

/// The reports on an owner's jobs.
#[derive(Debug)]
pub struct JobStatistics;

impl Serves for JobStatistics {
    const NAME: &'static str = NAME;
    type Backend = Ledger;
    const ROUTES: &'static [Served<Ledger>] = &[Served::of::<GetJobStats>(), Served::of::<ListFailures>()];
}

/// `GET /v1/jobs/stats`.
#[derive(Debug)]
pub struct GetJobStats;

#[derive(Serialize)]
struct Body {
    #[serde(flatten)]
    numbers: Numbers,
    storage: StorageView,
    date_range: DateRange,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<Entry>>,
}

/// The numbers of an hour or a day.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    span: DateRange,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Serialize)]
struct Numbers {
    total_jobs: u64,
    status_breakdown: BTreeMap<Status, u64>,
    created_jobs: u64,
    removed_jobs: u64,
    ended: BTreeMap<Status, u64>,
    success_rate: Option<Rate>,
    processing_metrics: Processing,
}

/// How long jobs took; null where nothing was measured.
#[derive(Serialize)]
struct Processing {
    #[serde(rename = "total_processing_seconds")]
    total: Option<Seconds>,
    #[serde(rename = "mean_processing_seconds")]
    mean: Option<Seconds>,
    #[serde(rename = "processing_percentiles_seconds")]
    percentiles: Option<PercentilesView>,
    #[serde(rename = "mean_wait_seconds")]
    mean_wait: Option<Seconds>,
    #[serde(rename = "wait_percentiles_seconds")]
    wait_percentiles: Option<PercentilesView>,
}

#[derive(Serialize)]
struct PercentilesView {
    p50: Seconds,
    p95: Seconds,
    p99: Seconds,
}

impl From<Percentiles> for PercentilesView {
    fn from(Percentiles { p50_ms, p95_ms, p99_ms }: Percentiles) -> Self {
        let [p50, p95, p99] = [p50_ms, p95_ms, p99_ms].map(Seconds::of_millis);
        Self { p50, p95, p99 }
    }
}

impl Route for GetJobStats {
    const NAME: &'static str = NAME;
    const KEY: RouteKey = RouteKey::get("/v1/jobs/stats");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let created = created_range(&mut call.query);
        let by = call.query.optional("by", |word| match word {
            "hour" => Spans::new(Granularity::Hour, created).map(Some),
            "day" => Spans::new(Granularity::Day, created).map(Some),
            _ => Err(Invalid::new("must be hour or day")),
        });
        let types = types(&mut call.query);
        call.query.finish(Some(()))?;
        let (owner, jobs) = (call.owner()?, call.backend.jobs());
        let stats = match by.flatten() {
            None => jobs.stats(owner, &types, created).await?,
            Some(spans) => jobs.stats_series(owner, &types, spans).await?,
        };
        Ok(Answer::ok(&body(stats, call.storage_quota_bytes())))
    }
}

fn body(stats: JobStats, quota_bytes: Option<u64>) -> Body {
    let date_range = stats.numbers.range.into();
    let entry = |numbers: JobNumbers| Entry { span: numbers.range.into(), numbers: numbers.into() };
    Body {
        numbers: stats.numbers.into(),
        storage: StorageView::new(stats.stored_bytes, quota_bytes),
        date_range,
        series: stats.series.map(|series| series.into_iter().map(entry).collect()),
    }
}

impl From<JobNumbers> for Numbers {
    fn from(numbers: JobNumbers) -> Self {
        let completed = numbers.ended.get(&Status::Completed).copied().unwrap_or(0);
        Self {
            total_jobs: numbers.alive.total(),
            status_breakdown: numbers.alive.iter().collect(),
            created_jobs: numbers.created,
            removed_jobs: numbers.removed,
            success_rate: Rate::of_part(completed, numbers.ended.values().sum()),
            ended: numbers.ended,
            processing_metrics: Processing {
                total: numbers.run_ms.map(Seconds::of_millis),
                mean: numbers.mean_run_ms.map(Seconds::of_millis),
                percentiles: numbers.run.map(Into::into),
                mean_wait: numbers.mean_wait_ms.map(Seconds::of_millis),
                wait_percentiles: numbers.wait.map(Into::into),
            },
        }
    }
}
