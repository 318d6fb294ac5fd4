//! `/v1/admin/ingest`.

mod get;
mod jobs;
