//! The Lambda functions of jobledger.
//!
//! The folders follow the URL, without `/v1` and `/admin`: `POST /v1/jobs/{job_id}/cancel` is `jobs/cancel.rs`. Functions
//! that no URL leads to are in [`streams`] (called by the stream of a table) and [`schedules`] (called by the clock). An
//! operator invokes [`keys::create_admin`]. `bin/` has one binary for each function, and `routes.rs` lists the functions.

pub mod analytics;
pub mod api;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod keys;
pub mod metrics;
pub mod no_route;
pub mod records;
pub mod recount;
mod routes;
pub mod schedules;
pub mod streams;
pub mod types;
pub mod usage;
pub mod workers;

pub use routes::all;
