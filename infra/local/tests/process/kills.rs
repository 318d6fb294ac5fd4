//! The test kills workers and stacks with -9. Each job must be done, each attempt by one worker, each counted once.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{interval, timeout};

use crate::pool::{KINDS, Pool, worker_id};
use crate::process::Process;
use crate::tries::{Tries, Try};

/// Names another number of jobs than [`JOBS`], such as 5000.
const JOBS_VARIABLE: &str = "JOBLEDGER_KILLS_JOBS";
/// Jobs of a run. With many more, some hundred workers would be killed.
const JOBS: u64 = 400;
/// Longest wait for the end: a minute, and this for each job. It only ends a test that hangs.
const PATIENCE_A_JOB: Duration = Duration::from_millis(500);
/// Most attempts of a job: more than it can lose.
const MAX_ATTEMPTS: u32 = 100;
/// The limit of the limited type. The slots of a killed worker stay taken until its lease is over, and the limit is
/// higher than that can take.
const LIMIT: u32 = 16;
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Requests at a time.
const AT_ONCE: usize = 8;
/// The reaper runs more often than in the template, so that the last jobs do not wait a minute.
const OPTIONS: [&str; 2] = ["--every", "reap-leases=2"];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_every_second_loses_no_job_and_doubles_none() {
    run(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_does_a_stack_killed_in_the_middle() {
    run(2).await;
}

/// Kills the stack this many times while workers do the jobs, and a worker every second.
async fn run(stack_kills: u64) {
    let data = tempfile::tempdir().expect("a directory");
    let tries = data.path().join("tries");
    let jobs = jobs();
    let mut stack = Process::start_with(data.path(), "0", &OPTIONS).await;
    set_types(&stack).await;
    let port = stack.port().to_owned();
    let mut pool = Pool::start(&stack.url, &tries);
    let creating = tokio::spawn(create(stack.url.clone(), jobs));
    let all = async {
        for kill in 1..=stack_kills {
            at_least(&stack, "completed", jobs * kill / (stack_kills + 1)).await;
            assert!(!stack.end("-KILL").await.success());
            stack = Process::start_with(data.path(), &port, &OPTIONS).await;
        }
        at_least(&stack, "completed", jobs).await;
        stack
    };
    let patience = Duration::from_mins(1) + PATIENCE_A_JOB * u32::try_from(jobs).expect("a number of jobs");
    let stack = tokio::select! {
        stack = timeout(patience, all) => stack.expect("all jobs are done in time"),
        () = pool.kill() => unreachable!("it kills until all is done"),
    };
    let created = creating.await.expect("all are created");
    let killed = pool.killed;
    pool.stop().await;

    counts_are_exact(&stack, jobs).await;
    let tries = Tries::read(&tries);
    let (lost, most) = each_was_done_once(&stack, &created, &tries).await;
    // Shown with `--nocapture`, and if the test fails.
    eprintln!(
        "{jobs} jobs, {killed} workers and {stack_kills} stacks killed: {lost} tries lost, {most} tries at most"
    );
    assert_eq!(stack.end("-TERM").await.code(), Some(0));
}

#[expect(clippy::disallowed_methods, reason = "the edge: here the test's environment comes in")]
fn jobs() -> u64 {
    std::env::var(JOBS_VARIABLE).map_or(JOBS, |jobs| jobs.parse().expect("a number of jobs"))
}

async fn set_types(stack: &Process) {
    let lasting = json!({ "max_attempts": MAX_ATTEMPTS, "backoff_seconds": 0 });
    let limited = json!({ "max_attempts": MAX_ATTEMPTS, "backoff_seconds": 0, "max_concurrency": LIMIT });
    for (kind, settings) in KINDS.into_iter().zip([lasting, limited]) {
        let put = stack.request("PUT", &format!("/v1/types/{kind}")).body(settings.to_string());
        assert_eq!(put.send().await.expect("an answer").status(), StatusCode::OK);
    }
}

/// Creates all jobs, each with retries until it exists; returns their ids.
async fn create(url: String, jobs: u64) -> BTreeSet<String> {
    let client = &reqwest::Client::new();
    let url = &url;
    let one = |number: u64| async move {
        // One in four has the limited type.
        let kind = KINDS[usize::from(number.is_multiple_of(4))];
        let body = json!({ "type": kind, "external_id": number.to_string(), "payload": number });
        let mut ticks = interval(PAUSE);
        loop {
            ticks.tick().await;
            let request =
                client.post(format!("{url}/v1/jobs")).header("x-api-key", jobledger_local::LOCAL_KEY);
            let Ok(response) = request.body(body.to_string()).send().await else { continue };
            let status = response.status();
            let Ok(answer) = response.json::<Value>().await else { continue };
            match status {
                StatusCode::CREATED | StatusCode::OK => return id_of(&answer),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {}
                other => panic!("a create answered {other}: {answer}"),
            }
        }
    };
    stream::iter(0..jobs).map(one).buffer_unordered(AT_ONCE).collect().await
}

fn id_of(job: &Value) -> String {
    job["job_id"].as_str().expect("an id").to_owned()
}

/// Waits until this many jobs with this status are counted.
async fn at_least(stack: &Process, status: &str, jobs: u64) {
    let mut ticks = interval(PAUSE);
    loop {
        ticks.tick().await;
        if stack.get("/v1/jobs/count").await["by_status"][status].as_u64() >= Some(jobs) {
            return;
        }
    }
}

/// Expects counts, metrics and slots to show each job as created and completed, and no more.
async fn counts_are_exact(stack: &Process, jobs: u64) {
    let count = stack.get("/v1/jobs/count").await;
    assert_eq!(count["total"], jobs);
    let by_status = json!({ "queued": 0, "running": 0, "completed": jobs, "failed": 0, "cancelled": 0 });
    assert_eq!(count["by_status"], by_status);
    let metrics = stack.request("GET", "/metrics").send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let sum = |name: &str, label: &str| -> u64 {
        let samples =
            metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
        samples
            .map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<u64>().expect("a number"))
            .sum()
    };
    assert_eq!(sum("jobledger_jobs_created_total", ""), jobs, "{metrics}");
    assert_eq!(sum("jobledger_jobs_removed_total", ""), 0, "{metrics}");
    assert_eq!(sum("jobledger_jobs", "status=\"completed\""), jobs, "{metrics}");
    assert_eq!(sum("jobledger_jobs_ended_total", "status=\"completed\""), jobs, "{metrics}");
    assert_eq!(sum("jobledger_jobs_ended_total", ""), jobs, "{metrics}");
    let limited = stack.get(&format!("/v1/types/{}", KINDS[1])).await;
    assert_eq!(limited["running"], 0, "{limited}");
}

/// Expects that each job was completed by its last attempt, and that the service names the process that logged the
/// attempt. Returns how many attempts were lost, and the most attempts of a job.
async fn each_was_done_once(stack: &Process, created: &BTreeSet<String>, tries: &Tries) -> (u64, u64) {
    let mut seen = BTreeSet::new();
    let mut page = stack.list("limit=100").await;
    loop {
        seen.extend(page["jobs"].as_array().expect("jobs").iter().map(id_of));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = stack.list(&format!("limit=100&cursor={cursor}")).await;
    }
    assert!(seen == *created, "{} jobs were created, and {} are there", created.len(), seen.len());

    let jobs = stream::iter(created).map(|id| stack_job(stack, id)).buffer_unordered(AT_ONCE);
    let jobs: Vec<Value> = jobs.collect().await;
    let mut expected: BTreeSet<Try> = BTreeSet::new();
    let (mut lost, mut most) = (0, 0);
    for job in &jobs {
        let (id, attempt) = (id_of(job), job["attempt"].as_u64().expect("a number"));
        assert_eq!(job["status"], "completed", "{job}");
        let last_try = (id.clone(), attempt);
        let process =
            tries.ended.get(&last_try).unwrap_or_else(|| panic!("nobody ended the last try: {job}"));
        assert_eq!(job["result"], json!({ "process": process, "attempt": attempt }), "{job}");
        for tried in job["attempts"].as_array().expect("tries") {
            let number = tried["number"].as_u64().expect("a number");
            assert_eq!(tried["error"].is_null(), number == attempt, "only the last try went well: {job}");
            // A worker that was killed between its claim and its first step logged nothing.
            if let Some(process) = tries.begun.get(&(id.clone(), number)) {
                assert_eq!(tried["worker"], worker_id(process), "{job}");
            }
        }
        expected.extend((1..=attempt).map(|number| (id.clone(), number)));
        lost += attempt - 1;
        most = most.max(attempt);
    }
    let unknown: Vec<_> = tries.begun.keys().filter(|tried| !expected.contains(*tried)).collect();
    assert!(unknown.is_empty(), "tries that the service knows nothing of: {unknown:?}");
    (lost, most)
}

async fn stack_job(stack: &Process, id: &str) -> Value {
    stack.get(&format!("/v1/jobs/{id}")).await
}
