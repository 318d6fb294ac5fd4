//! The store throttles in the middle of a call. The function ingests as fast as the store allows.

use std::collections::HashMap;

use jobledger_tests::PATIENCE;
use jobledger_tests::alone::Request;
use jobledger_tests::dynamo::text;
use jobledger_tests::faults::{Fault, Seen};
use jobledger_tests::jobs::went_in;
use serde_json::{Value, json};

use super::FaultFixture;

/// Lines of a call: enough to use up the SDK's retry budget.
const LINES: u64 = 120;

fn ingest() -> Request {
    let line = |number: u64| {
        json!({
            "external_id": number.to_string(), "type": "render", "status": "completed", "payload": number,
            "completed_at": "2026-03-01T00:00:00Z",
        })
    };
    Request::new("POST", "/v1/admin/ingest/jobs")
        .body(json!((0..LINES).map(line).collect::<Vec<_>>()).to_string())
}

fn is_head(seen: &Seen) -> bool {
    seen.operation == "PutItem" && seen.body["Item"]["part"]["S"] == "head"
}

/// The store throttles the first writes of each head.
fn over_the_limit(times: usize) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    let mut seen_before: HashMap<String, usize> = HashMap::new();
    move |seen| {
        if !is_head(seen) {
            return Fault::None;
        }
        let count = seen_before.entry(seen.body["Item"]["job_id"]["S"].to_string()).or_default();
        *count += 1;
        if *count <= times { Fault::throttled() } else { Fault::None }
    }
}

/// The store throttles every write more often than the SDK retries. One call still succeeds.
#[tokio::test]
async fn one_ingest_call_outlasts_the_throttling() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.patient("ingest-jobs").await;
    behind.proxy.plan(over_the_limit(5));
    let reply = tokio::time::timeout(PATIENCE, behind.call(&ingest())).await.expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(went_in(&reply), [LINES, 0, 0, 0]);
    behind.proxy.heal();
    assert_eq!(went_in(&behind.call(&ingest()).await), [0, 0, LINES, 0]);
    let items = fixture.dynamo.scan(&fixture.jobs).await;
    assert_eq!(items.len() as u64, 2 * LINES, "heads and inputs, none of them twice");
}

/// If throttling outlasts the call, its ingested jobs stay, and the next call ingests the rest.
#[tokio::test]
async fn jobs_ingested_before_the_throttling_stay() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.hurried("ingest-jobs").await;
    let mut heads = 0;
    behind.proxy.plan(move |seen| {
        heads += u64::from(is_head(seen));
        if is_head(seen) && heads > 40 { Fault::throttled() } else { Fault::None }
    });
    let reply = tokio::time::timeout(PATIENCE, behind.call(&ingest())).await.expect("an answer");
    fixture.is_unavailable("ingest", &reply);
    behind.proxy.heal();
    let reply = behind.call(&ingest()).await;
    assert_eq!(went_in(&reply), [LINES - 40, 0, 40, 0], "{}", reply.text);
    // Whole jobs: each has its own input.
    let items = fixture.dynamo.scan(&fixture.jobs).await;
    for head in items.iter().filter(|item| text(item, "part") == "head") {
        let input = format!("input#{}", text(head, "input"));
        let is_its = |item: &Value| item["job_id"] == head["job_id"] && item["part"]["S"] == input.as_str();
        assert!(items.iter().any(|item| is_its(&json!(item))), "{head:?} lacks {input}");
    }
}
