//! Shapes the numbers that `GET /metrics` shows. The function writes them in the formats that Prometheus reads.
//!
//! - `gather` makes one scrape.
//! - `scrape` reads what there is, and leaves types out where there are too many; `series` and `shares` choose among the
//!   counts of records where they are too many.
//! - `lag` finds out by probes how far the counts lag behind the jobs.
//! - `checkup` finds out whether all that the service needs works, for `GET /health/detailed`.
//! - `reaper_run` is the time of the reaper's last run.
//! - `queue_note` and `recounted` are notes that the reaper and the recount leave for a scrape.

mod checkup;
mod gather;
mod lag;
mod queue_note;
mod reaper_run;
mod recounted;
mod scrape;
mod series;
mod shares;

pub use checkup::{Checker, Checkup, Component, Finding, Health};
pub use gather::{Gathered, Gatherer};
pub use queue_note::{MAX_NOTED_TYPES, NotedType, QueueNote};
pub use reaper_run::record_reaper_run;
pub use recounted::Recounted;
pub use scrape::Scrape;
pub use series::{MAX_RECORD_SERIES, MAX_RECORD_SERIES_OF_OWNER};
