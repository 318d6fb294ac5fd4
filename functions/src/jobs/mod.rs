//! `/v1/jobs`.

pub mod batch_status;
pub mod bulk;
pub mod cancel;
pub mod claim;
pub mod count;
pub mod create;
pub mod delete;
pub mod export;
pub mod failures;
pub mod get;
pub mod list;
pub mod retry;
pub mod stats;
pub mod update;

use jobledger::http::{Route, RouteKey};

/// The routes whose paths also look like `/v1/jobs/{job_id}`. API Gateway leads `GET /v1/jobs/claim` to the function that
/// gets a job.
const WORDS: &[RouteKey] = &[
    batch_status::BatchStatus::KEY,
    bulk::BulkJobs::KEY,
    claim::ClaimJobs::KEY,
    count::GetJobCount::KEY,
    export::link::ExportLink::KEY,
    failures::ListFailures::KEY,
    stats::GetJobStats::KEY,
];
