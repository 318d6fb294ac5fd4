//! ingest-jobs
