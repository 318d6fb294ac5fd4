//! `GET /v1/jobs/stats`: how many jobs there are and were, how they ended, and how long they took.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::counts::JobStats;
use jobledger::domain::{Rate, Seconds, Status};
use jobledger::http::{
    Access, Answer, Call, DateRange, Problem, Route, RouteKey, Scope, StorageView, created_range, function,
};
use jobledger::store::Ledger;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<GetJobStats>();

/// `GET /v1/jobs/stats`.
#[derive(Debug)]
pub struct GetJobStats;

#[derive(Serialize)]
struct Body {
    total_jobs: u64,
    status_breakdown: BTreeMap<Status, u64>,
    created_jobs: u64,
    removed_jobs: u64,
    ended: BTreeMap<Status, u64>,
    success_rate: Option<Rate>,
    processing_metrics: Processing,
    storage: StorageView,
    date_range: DateRange,
}

/// How long jobs took; null where nothing was measured.
#[derive(Serialize)]
struct Processing {
    #[serde(rename = "total_processing_seconds")]
    total: Option<Seconds>,
    #[serde(rename = "mean_processing_seconds")]
    mean: Option<Seconds>,
    #[serde(rename = "mean_wait_seconds")]
    mean_wait: Option<Seconds>,
}

impl Route for GetJobStats {
    const NAME: &'static str = "get-job-stats";
    const KEY: RouteKey = RouteKey::get("/v1/jobs/stats");
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let created = created_range(&mut call.query);
        let created = call.query.finish(Some(created))?;
        let stats = call.backend.jobs().stats(call.owner()?, created).await?;
        Ok(Answer::ok(&body(stats, call.storage_quota_bytes())))
    }
}

fn body(stats: JobStats, quota_bytes: Option<u64>) -> Body {
    let completed = stats.ended.get(&Status::Completed).copied().unwrap_or(0);
    Body {
        total_jobs: stats.alive.total(),
        status_breakdown: stats.alive.iter().collect(),
        created_jobs: stats.created,
        removed_jobs: stats.removed,
        success_rate: Rate::of_part(completed, stats.ended.values().sum()),
        ended: stats.ended,
        processing_metrics: Processing {
            total: stats.run_ms.map(Seconds::of_millis),
            mean: stats.mean_run_ms.map(Seconds::of_millis),
            mean_wait: stats.mean_wait_ms.map(Seconds::of_millis),
        },
        storage: StorageView::new(stats.stored_bytes, quota_bytes),
        date_range: stats.range.into(),
    }
}
