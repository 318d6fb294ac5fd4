//! One file or folder a route, at the place that `functions/src` has it: both follow from the URL.

mod analytics;
mod health;
mod ingest;
mod jobs;
mod keys;
mod metrics;
mod no_route;
mod records;
mod recount;
mod types;
mod usage;
