//! `/v1/jobs`.

mod batch_status;
mod bulk;
mod cancel;
mod claim;
mod count;
mod create;
mod delete;
mod export;
mod failures;
mod get;
mod list;
mod retry;
mod stats;
mod update;
