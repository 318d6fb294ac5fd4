//! delete-job
