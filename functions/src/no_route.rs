//! The answer to everything that no other function serves: 405 with the methods of the path, 404 if the path has none, and
//! the methods if `OPTIONS` asks for them, as browsers do before a cross-origin call.
//!
//! API Gateway itself would answer such requests with a 404 that is no problem of ours. So the template has a route for
//! the rest, `$default`, which leads here.

use jobledger::Function;
use jobledger::http::{Nothing, Route, RouteKey, Served, Serves, function};

use crate::{analytics, api, health, ingest, jobs, keys, metrics, records, recount, types, usage, workers};

/// The function.
pub const FUNCTION: Function = function::<NoRoute>();

/// The route `$default`.
#[derive(Debug)]
pub struct NoRoute;

impl Serves for NoRoute {
    const NAME: &'static str = "no-route";
    type Backend = Nothing;
    const ROUTES: &'static [Served<Nothing>] = &[];
    const OTHERS: &'static [RouteKey] = &[
        analytics::cost::CostByModel::KEY,
        analytics::cost::CostByTeam::KEY,
        api::metrics::health::StoreHealth::KEY,
        api::metrics::query_range::QueryRange::KEY,
        api::metrics::services::ListServices::KEY,
        health::Health::KEY,
        health::detailed::DetailedHealth::KEY,
        ingest::get::GetIngest::KEY,
        ingest::jobs::IngestJobs::KEY,
        ingest::jobs::IngestSample::KEY,
        jobs::batch_status::BatchStatus::KEY,
        jobs::bulk::BulkJobs::KEY,
        jobs::cancel::CancelJob::KEY,
        jobs::claim::ClaimJobs::KEY,
        jobs::count::GetJobCount::KEY,
        jobs::create::CreateJob::KEY,
        jobs::delete::DeleteJob::KEY,
        jobs::export::link::ExportLink::KEY,
        jobs::failures::ListFailures::KEY,
        jobs::get::GetJob::KEY,
        jobs::list::ListJobs::KEY,
        jobs::retry::RetryJob::KEY,
        jobs::stats::GetJobStats::KEY,
        jobs::update::UpdateJob::KEY,
        keys::create::CreateKey::KEY,
        keys::delete::DeleteKey::KEY,
        keys::get::GetKey::KEY,
        keys::list::ListKeys::KEY,
        keys::update::UpdateKey::KEY,
        metrics::Metrics::KEY,
        records::count::GetRecordCount::KEY,
        records::delete::DeleteRecord::KEY,
        records::get::GetRecord::KEY,
        records::put::PutRecordRoute::KEY,
        recount::Recount::KEY,
        types::get::GetType::KEY,
        types::list::ListTypes::KEY,
        types::pause::PauseType::KEY,
        types::put::PutType::KEY,
        types::resume::ResumeType::KEY,
        types::update::UpdateType::KEY,
        usage::UsageReport::KEY,
        workers::ListWorkers::KEY,
    ];
}
