//! `/v1/jobs`.

pub mod batch_status;
pub mod bulk;
pub mod cancel;
pub mod claim;
pub mod count;
pub mod create;
pub mod delete;
pub mod export;
pub mod get;
pub mod list;
pub mod retry;
pub mod stats;
pub mod update;
