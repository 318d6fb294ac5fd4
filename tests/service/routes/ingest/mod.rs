//! `/v1/admin/ingest`.

mod jobs;
