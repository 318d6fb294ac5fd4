//! Worker processes. Every second, one of them is killed with -9 and replaced.

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

/// Types of the jobs: one without a limit, one with a limit.
pub(crate) const KINDS: [&str; 2] = ["free", "limited"];
/// Worker processes at a time.
const WORKERS: usize = 8;
/// Jobs at a time of each process.
const CONCURRENCY: usize = 4;
/// The pause between two kills.
const KILL_EVERY: Duration = Duration::from_secs(1);
/// The shortest lease that is allowed. A killed worker's job waits this long.
const LEASE_SECONDS: u64 = 10;
/// Longest work of a job. Its number decides how long it takes.
const WORK_MS_MAX: u64 = 400;
/// Names the address of the service, for a worker process.
const URL_VARIABLE: &str = "JOBLEDGER_KILLS_URL";
/// Names the file in which a worker process logs its attempts. Without it, [`a_worker`] does nothing.
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

    /// Starts this test program once more as a worker, because no other binary of the test has the worker crate.
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

    /// Kills the workers one after the other, the oldest first, until this future is dropped.
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

    /// Tells all workers to stop, and waits for their ends.
    pub(crate) async fn stop(self) {
        for mut worker in self.workers {
            drop(worker.stdin.take());
            let status = timeout(PATIENCE, worker.wait()).await.expect("it stops").expect("its status");
            assert!(status.success(), "{status}");
        }
    }
}

/// The code of a worker process; without the variables it does nothing. It works until its standard input ends, so it
/// ends with the test.
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

/// The worker's name in a process.
pub(crate) fn worker_id(process: &str) -> String {
    format!("process-{process}")
}

/// Works as long as the job's number says, and logs its begin and its end before it reports.
async fn work(task: Task, tries: PathBuf) -> Result<Value, TaskError> {
    write_down(&tries, Moment::Begun, task.id(), task.attempt())?;
    let number: u64 = task.payload()?;
    let takes = Duration::from_millis(number * 37 % WORK_MS_MAX);
    let _elapsed = timeout(takes, pending::<()>()).await;
    write_down(&tries, Moment::Ended, task.id(), task.attempt())?;
    Ok(json!({ "process": std::process::id().to_string(), "attempt": task.attempt() }))
}
