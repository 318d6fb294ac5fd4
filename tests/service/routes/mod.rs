//! One file or folder for each route, at the same path as in `functions/src/`. Both follow from the URL.

mod analytics;
mod api;
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
mod workers;
