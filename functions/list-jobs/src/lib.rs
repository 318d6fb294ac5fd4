//! list-jobs
