//! `GET /v1/jobs`.

mod choices;
mod cursors;
mod filters;
mod finds;
mod many;
mod pages;
mod refusals;
mod shards;
mod summaries;
