//! get-job
