//! The real process: killed in the middle, started again, ended in order.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Longest wait for something that must happen; only ends what hangs.
const PATIENCE: Duration = Duration::from_mins(1);
/// Jobs of one call.
const CALL: usize = 300;
/// Calls.
const CALLS: usize = 4;

struct Process {
    child: Child,
    url: String,
    client: Client,
}

impl Process {
    async fn start(data: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobledger-local"))
            .args(["--port", "0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut line = async || {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
            line.expect("a line in time").expect("a readable line").expect("a line")
        };
        let url = line().await.strip_prefix("jobledger listens on ").expect("where it listens").to_owned();
        assert!(line().await.contains("local-dev-key"));
        Self { child, url, client: Client::new() }
    }

    fn ingest(&self, call: usize) -> JoinHandle<Option<Value>> {
        let request = self
            .client
            .post(format!("{}/v1/admin/ingest/jobs", self.url))
            .header("x-api-key", "local-dev-key")
            .body(jobs(call));
        // A call that the kill cuts off has no answer.
        tokio::spawn(async move { request.send().await.ok()?.json().await.ok() })
    }

    async fn list(&self, query: &str) -> Value {
        let request = self.client.get(format!("{}/v1/jobs?{query}", self.url));
        let response = request.header("x-api-key", "local-dev-key").send().await.expect("an answer");
        response.json().await.expect("JSON")
    }

    /// Waits until the list's total says so.
    async fn total_is(&self, what: &str, is_right: impl Fn(u64) -> bool) -> u64 {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                // The second page knows its total from the counters alone.
                let total = self.list("limit=1&offset=1").await["total"].as_u64().expect("a total");
                if is_right(total) {
                    return total;
                }
                tokio::task::yield_now().await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("{what}: the total never came to be right"))
    }

    async fn end(mut self, signal: &str) -> ExitStatus {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().await.expect("kill");
        assert!(sent.success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("its status")
    }
}

/// The jobs of a call: each with a payload, so that a job is more than one item.
fn jobs(call: usize) -> String {
    let job = |number: usize| {
        json!({
            "external_id": number.to_string(),
            "type": if number.is_multiple_of(3) { "b" } else { "a" },
            "status": "completed",
            "created_at": "2026-01-11T05:00:00Z",
            "started_at": "2026-01-11T05:00:00Z",
            "completed_at": "2026-01-11T05:00:10Z",
            "payload": { "number": number },
        })
        .to_string()
    };
    (call * CALL..(call + 1) * CALL).map(job).collect::<Vec<_>>().join("\n")
}

/// How many jobs there really are: all pages, walked by cursor.
async fn walk(process: &Process) -> u64 {
    let mut count = 0;
    let mut page = process.list("limit=100").await;
    loop {
        count += page["jobs"].as_array().expect("jobs").len() as u64;
        let Some(cursor) = page["next_cursor"].as_str() else { return count };
        page = process.list(&format!("limit=100&cursor={cursor}")).await;
    }
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill_in_the_middle_of_ingesting() {
    let data = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for call in 0..CALLS - 1 {
        let process = Process::start(data.path()).await;
        let before = process.total_is("at the start", |total| total >= acknowledged).await;
        let answer = process.ingest(call).await.expect("the call ends").expect("an answer");
        let sum = |name: &str| answer[name].as_u64().expect("a number");
        assert_eq!(sum("created") + sum("unchanged"), CALL as u64, "{answer}");
        acknowledged = ((call + 1) * CALL) as u64;
        // The next call is under way when the process dies.
        let cut = process.ingest(call + 1);
        process.total_is("under way", |total| total > before.max(acknowledged)).await;
        let status = process.end("-KILL").await;
        assert!(!status.success());
        drop(cut.await);
    }

    let process = Process::start(data.path()).await;
    let there = walk(&process).await;
    assert!(there >= acknowledged, "{there} of {acknowledged}");
    process.total_is("after the kills", |total| total == there).await;

    // Sent again, all of them: what had gone in stays as it is, the rest goes in.
    for call in 0..CALLS {
        let answer = process.ingest(call).await.expect("the call ends").expect("an answer");
        assert_eq!(answer["rejected"], json!([]));
        assert_eq!(answer["updated"], 0, "{answer}");
    }
    let all = (CALL * CALLS) as u64;
    process.total_is("in the end", |total| total == all).await;
    assert_eq!(walk(&process).await, all);
    assert_eq!(process.list("type=b&limit=1").await["total"], all / 3);
    assert_eq!(process.end("-TERM").await.code(), Some(0));
}
