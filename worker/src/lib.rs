//! Runs the jobs of a jobledger: a pool over its work API.
//!
//! A worker claims jobs of the types for which it has handlers, as many as it has free slots. It runs each as its own
//! task, renews its lease by heartbeats, reports its progress and its end, and stops it if it is cancelled. It talks to
//! the service by HTTP only, and needs nothing of AWS.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use jobledger_worker::{Task, TaskError, Worker};
//! use serde::Deserialize;
//! use serde_json::{Value, json};
//!
//! #[derive(Deserialize)]
//! struct Transcode {
//!     input: String,
//!     frames: u32,
//! }
//!
//! async fn transcode(task: Task) -> Result<Value, TaskError> {
//!     let job: Transcode = task.payload()?;
//!     let cancelled = task.cancelled();
//!     for frame in 0..job.frames {
//!         if cancelled.is_cancelled() {
//!             return Err(TaskError::new("cancelled"));
//!         }
//!         encode(&job.input, frame).await?;
//!         task.progress(100 * (frame + 1) / job.frames);
//!     }
//!     Ok(json!({ "frames": job.frames }))
//! }
//! # async fn encode(_: &str, _: u32) -> std::io::Result<()> { Ok(()) }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     Worker::builder("https://jobs.example.com", "a key with the scope `work`")
//!         .handle("video.transcode", transcode)
//!         .handle("ping", |_task| async { Ok(json!("pong")) })
//!         .timeout("video.transcode", Duration::from_secs(3_600))
//!         .concurrency(4)
//!         .listen(([0, 0, 0, 0], 9_100))
//!         .build()?
//!         .run()
//!         .await?;
//!     Ok(())
//! }
//! ```
//!
//! # What holds
//!
//! - **At most one worker runs a try**, as long as clocks run equally fast: a lease's end is counted from when its claim, or
//!   the last report that was accepted, was *sent*. No time of the service is compared with a clock of this machine. When
//!   that moment comes, the handler is cancelled and its result is not reported.
//! - **A job may be tried more than once**: a worker that dies takes its tries with it, and the service gives the job to
//!   somebody else. Handlers should bear being run again.
//! - **Nothing is retried for ever.** Last reports are sent, as the same bytes, until they are accepted or the lease must be
//!   over. When the service is away, a circuit breaker stops the claims and looks now and then whether it is back. A key that
//!   is unknown or may not work ([`RunError::UnknownKey`], [`RunError::Denied`]) ends the run.
//! - **A stop loses nothing.** No more jobs are claimed; tries that run have [some time](WorkerBuilder::stop_timeout) to end;
//!   then they are cancelled and their jobs handed back, to be taken by another worker at once, with no try used up.
//!
//! # How a handler ends
//!
//! | the handler | the attempt | the job |
//! |---|---|---|
//! | returns `Ok` | is completed | is completed |
//! | returns [`TaskError::new`], or any error by `?` | has failed | is tried again while it has attempts left |
//! | returns [`TaskError::permanent`] | has failed | has failed |
//! | panics | has failed, with the code `panic` | is tried again while it has attempts left |
//! | takes longer than its timeout | has failed, with the code `timeout` | is tried again while it has attempts left |
//! | returns a result that is too large | has failed, with the code `result_too_large` | has failed |
//! | was cancelled, or lost its lease | is not reported | is as other callers left it |
//!
//! # Its own port
//!
//! With [`WorkerBuilder::listen`], a worker serves `/metrics` (OpenMetrics text), `/health` (200 while it works; 503
//! while the service is away, or while it stops) and `/stats` (the metrics as JSON). Counters end in `_total`:
//!
//! | metric | |
//! |---|---|
//! | `jobledger_worker_up`, `…_concurrency` | 1 while it claims; attempts that may run at once |
//! | `jobledger_worker_active_tasks{type}` | attempts that run now |
//! | `jobledger_worker_events_processed_total{type,outcome}` | `completed`, `failed`, `timeout`, `cancelled`, `handed_back`, `lost` |
//! | `jobledger_worker_claims_total{outcome}` | `jobs`, `empty`, `limited` (429), `away`, `refused` |
//! | `jobledger_worker_claim_duration_seconds` | a histogram; waiting for work is part of it |
//! | `jobledger_worker_circuit_breaker_state{state}` | 1 for one of `closed`, `half_open`, `open` |
//! | `jobledger_worker_reports_retried_total`, `…_dropped_total` | last reports that were repeated; those given up |
//! | `process_resident_memory_bytes` | Linux only |

mod attempt;
mod breaker;
mod builder;
mod claims;
mod client;
mod error;
mod finish;
mod handler;
mod http;
mod metrics;
mod outcome;
mod pool;
mod progress;
mod report;
mod server;
mod task;
mod worker;

pub use jobledger_client::ClientError;
pub use tokio_util::sync::CancellationToken;

pub use builder::WorkerBuilder;
pub use error::{BuildError, RunError, TaskError};
pub use outcome::{Artifact, Outcome};
pub use task::Task;
pub use worker::Worker;

/// The README's example, built with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
