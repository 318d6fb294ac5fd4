//! `GET /v1/jobs/stats`: how many jobs there are and were, how they ended, and how long they took.

use std::collections::BTreeMap;

use jobledger::Function;
use jobledger::counts::{Cell, Granularity, Measure, StatusCounts, Tally, bytes_of, sum, widened};
use jobledger::domain::{CreatedRange, Rate, Seconds, Status};
use jobledger::http::{
    Access, Answer, Call, DateRange, Problem, Route, Scope, StorageView, created_range, function,
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
    const ACCESS: Access = Access::Scope(Scope::Read);
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Ledger;

    async fn answer(mut call: Call<'_, Ledger>) -> Result<Answer, Problem> {
        let created = created_range(&mut call.query);
        let created = call.query.finish(Some(created))?;
        let (owner, source) = (call.owner()?, call.backend.source().await?);
        let (all, within) = if created == CreatedRange::ALL {
            let all = sum(source, owner, created).await?;
            (all.clone(), all)
        } else {
            tokio::try_join!(sum(source, owner, CreatedRange::ALL), sum(source, owner, created))?
        };
        let storage = StorageView::new(bytes_of(&all), call.storage_quota_bytes());
        Ok(Answer::ok(&body(&within, storage, widened(created, Granularity::Hour))))
    }
}

fn body(tally: &Tally, storage: StorageView, range: CreatedRange) -> Body {
    let alive = StatusCounts::of(tally);
    let ends = Status::ALL.into_iter().filter(|status| status.is_ended());
    let ended: BTreeMap<Status, u64> = ends.map(|end| (end, tally.count(Cell::Ended(end)))).collect();
    let completed = tally.count(Cell::Ended(Status::Completed));
    let runs = tally.count(Cell::Count(Measure::Run));
    let run_ms = tally.count(Cell::SumMs(Measure::Run));
    Body {
        total_jobs: alive.total(),
        status_breakdown: alive.iter().collect(),
        created_jobs: tally.count(Cell::Created),
        removed_jobs: tally.count(Cell::Removed),
        success_rate: Rate::of_part(completed, ended.values().sum()),
        ended,
        processing_metrics: Processing {
            total: (runs > 0).then(|| Seconds::of_millis(run_ms)),
            mean: tally.mean_ms(Measure::Run).map(Seconds::of_millis),
            mean_wait: tally.mean_ms(Measure::Wait).map(Seconds::of_millis),
        },
        storage,
        date_range: range.into(),
    }
}
