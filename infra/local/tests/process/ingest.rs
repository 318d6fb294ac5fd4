//! The stack is killed while it ingests.

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::process::{PATIENCE, Process};

/// Jobs of one call.
const CALL: usize = 300;
/// Calls.
const CALLS: usize = 4;

fn ingest(process: &Process, call: usize) -> JoinHandle<Option<Value>> {
    let request = process.request("POST", "/v1/admin/ingest/jobs").body(jobs(call));
    // A call that the kill cuts off has no answer.
    tokio::spawn(async move { request.send().await.ok()?.json().await.ok() })
}

/// Waits until the list's total satisfies the condition.
async fn total_is(process: &Process, what: &str, is_right: impl Fn(u64) -> bool) -> u64 {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            // The second page's total comes from the counters alone.
            let total = process.list("limit=1&offset=1").await["total"].as_u64().expect("a total");
            if is_right(total) {
                return total;
            }
            tokio::task::yield_now().await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("{what}: the total never came to be right"))
}

/// The jobs of a call. Each has a payload, so a job is more than one item.
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

/// The real number of jobs: walks all pages by cursor.
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
async fn acknowledged_jobs_survive_a_kill_while_ingesting() {
    let data = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0;
    for call in 0..CALLS - 1 {
        let process = Process::start(data.path()).await;
        let before = total_is(&process, "at the start", |total| total >= acknowledged).await;
        let answer = ingest(&process, call).await.expect("the call ends").expect("an answer");
        let sum = |name: &str| answer[name].as_u64().expect("a number");
        assert_eq!(sum("created") + sum("unchanged"), CALL as u64, "{answer}");
        acknowledged = ((call + 1) * CALL) as u64;
        // The next call is in flight when the process dies.
        let cut = ingest(&process, call + 1);
        total_is(&process, "under way", |total| total > before.max(acknowledged)).await;
        let status = process.end("-KILL").await;
        assert!(!status.success());
        drop(cut.await);
    }

    let process = Process::start(data.path()).await;
    let there = walk(&process).await;
    assert!(there >= acknowledged, "{there} of {acknowledged}");
    total_is(&process, "after the kills", |total| total == there).await;

    // All calls again. Ingested jobs stay unchanged, and the others are ingested.
    for call in 0..CALLS {
        let answer = ingest(&process, call).await.expect("the call ends").expect("an answer");
        assert_eq!(answer["rejected"], json!([]));
        assert_eq!(answer["updated"], 0, "{answer}");
    }
    let all = (CALL * CALLS) as u64;
    total_is(&process, "in the end", |total| total == all).await;
    assert_eq!(walk(&process).await, all);
    assert_eq!(process.list("type=b&limit=1").await["total"], all / 3);
    assert_eq!(process.end("-TERM").await.code(), Some(0));
}
