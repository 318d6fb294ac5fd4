//! count-jobs
