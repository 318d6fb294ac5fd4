//! `/v1/admin/ingest`.

pub mod get;
pub mod jobs;
