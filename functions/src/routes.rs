//! The list of all functions.

use jobledger::Function;

use crate::{
    analytics, api, health, ingest, jobs, keys, metrics, no_route, records, recount, schedules, streams,
    types, usage, workers,
};

/// All functions. One that is only here or only in the template keeps the local stack from starting.
pub fn all() -> Vec<Function> {
    vec![
        jobs::batch_status::FUNCTION,
        jobs::bulk::FUNCTION,
        jobs::cancel::FUNCTION,
        jobs::claim::FUNCTION,
        analytics::cost::FUNCTION,
        keys::create_admin::FUNCTION,
        jobs::create::FUNCTION,
        jobs::delete::FUNCTION,
        streams::delete_job_data::FUNCTION,
        jobs::export::stream::FUNCTION,
        jobs::export::link::FUNCTION,
        jobs::get::FUNCTION,
        jobs::count::FUNCTION,
        jobs::stats::FUNCTION,
        records::count::FUNCTION,
        health::FUNCTION,
        health::detailed::FUNCTION,
        ingest::jobs::FUNCTION,
        keys::FUNCTION,
        jobs::list::FUNCTION,
        workers::FUNCTION,
        metrics::FUNCTION,
        api::metrics::FUNCTION,
        no_route::FUNCTION,
        schedules::reap_leases::FUNCTION,
        records::FUNCTION,
        recount::FUNCTION,
        jobs::retry::FUNCTION,
        streams::run_background_tasks::FUNCTION,
        schedules::recount::FUNCTION,
        streams::tally_jobs::FUNCTION,
        types::FUNCTION,
        jobs::update::FUNCTION,
        usage::FUNCTION,
    ]
}
