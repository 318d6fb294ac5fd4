//! Functions that the stream of a table calls.

pub mod delete_job_data;
pub mod run_background_tasks;
pub mod tally_jobs;
