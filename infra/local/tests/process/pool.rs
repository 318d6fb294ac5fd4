//! Worker processes, one of them killed with -9 every second, and replaced.

use std::collections::VecDeque;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use jobledger_local::LOCAL_KEY;
use jobledger_worker::{Task, TaskError, Worker};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::process::PATIENCE;
use crate::tries::{Moment, write_down};

/// Types of the jobs: one as many as may be, the other a few at a time.
pub(crate) const KINDS: [&str; 2] = ["free", "limited"];
/// Processes at work at a time.
const WORKERS: usize = 8;
/// Jobs that each works at.
const CONCURRENCY: usize = 4;
/// The pause of who kills.
const KILL_EVERY: Duration = Duration::from_secs(1);
/// The shortest lease there is: for so long, a job of a worker that was killed is nobody's.
const LEASE_SECONDS: u64 = 10;
/// A job takes from nothing up to so long, as its number says.
const WORK_MS_MAX: u64 = 400;
/// Where a worker process finds the service.
const URL_VARIABLE: &str = "JOBLEDGER_KILLS_URL";
/// Where it writes down its tries. Without it, [`a_worker`] is no worker.
const TRIES_VARIABLE: &str = "JOBLEDGER_KILLS_TRIES";

/// The workers of one service.
pub(crate) struct Pool {
    url: String,
    tries: PathBuf,
    workers: VecDeque<Child>,
    /// How many were killed.
    pub(crate) killed: usize,
}

impl Pool {
    pub(crate) fn start(url: &str, tries: &Path) -> Self {
        let mut pool =
            Self { url: url.to_owned(), tries: tries.to_owned(), workers: VecDeque::new(), killed: 0 };
        for _ in 0..WORKERS {
            pool.add();
        }
        pool
    }

    /// This same program once more, told to be a worker: a test has no other binary that knows the crate.
    fn add(&mut self) {
        let worker = Command::new(std::env::current_exe().expect("this program"))
            .args(["pool::a_worker", "--exact", "--quiet", "--nocapture"])
            .env(URL_VARIABLE, &self.url)
            .env(TRIES_VARIABLE, &self.tries)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        self.workers.push_back(worker.expect("a worker starts"));
    }

    /// Kills one after the other, the oldest first, until it is dropped.
    pub(crate) async fn kill(&mut self) {
        let mut ticks = interval(KILL_EVERY);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let mut oldest = self.workers.pop_front().expect("a worker");
            oldest.kill().await.expect("it is killed");
            self.killed += 1;
            self.add();
        }
    }

    /// Tells all to stop, and waits for their ends.
    pub(crate) async fn stop(self) {
        for mut worker in self.workers {
            drop(worker.stdin.take());
            let status = timeout(PATIENCE, worker.wait()).await.expect("it stops").expect("its status");
            assert!(status.success(), "{status}");
        }
    }
}

/// What a worker process runs; as a test, nothing. It works until its standard input ends: so none outlives the test,
/// however that ends.
#[tokio::test]
async fn a_worker() {
    let (Some(url), Some(tries)) = (variable(URL_VARIABLE), variable(TRIES_VARIABLE)) else { return };
    let work = move |task: Task| work(task, PathBuf::from(tries.clone()));
    let worker = Worker::builder(url, LOCAL_KEY)
        .worker_id(worker_id(&std::process::id().to_string()))
        .handle(KINDS[0], work.clone())
        .handle(KINDS[1], work)
        .concurrency(CONCURRENCY)
        .lease_seconds(LEASE_SECONDS)
        .wait_seconds(1)
        .backoff(Duration::from_millis(100), Duration::from_secs(1))
        .breaker(5, Duration::from_secs(1))
        .build()
        .expect("a worker");
    let told = async {
        let mut nothing = Vec::new();
        let _ended = tokio::io::stdin().read_to_end(&mut nothing).await;
    };
    worker.run_until(told).await.expect("a run");
}

#[expect(clippy::disallowed_methods, reason = "the edge: here the worker process learns what it is for")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The name that the worker of a process works under.
pub(crate) fn worker_id(process: &str) -> String {
    format!("process-{process}")
}

/// Takes as long as the job's number says, and writes down that it began and that it ended before it says so.
async fn work(task: Task, tries: PathBuf) -> Result<Value, TaskError> {
    write_down(&tries, Moment::Begun, task.id(), task.attempt())?;
    let number: u64 = task.payload()?;
    let takes = Duration::from_millis(number * 37 % WORK_MS_MAX);
    let _elapsed = timeout(takes, pending::<()>()).await;
    write_down(&tries, Moment::Ended, task.id(), task.attempt())?;
    Ok(json!({ "process": std::process::id().to_string(), "attempt": task.attempt() }))
}
