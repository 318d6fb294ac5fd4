//! create-job
