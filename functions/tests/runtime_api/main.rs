//! The real binaries, over the Lambda Runtime API, as they run on AWS.

mod create_job;
mod export_jobs;
mod keys;
