//! `/v1/admin/ingest`.

pub mod jobs;
