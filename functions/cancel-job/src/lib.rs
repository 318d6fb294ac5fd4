//! cancel-job
