//! Failures that end: the function retries, and its caller does not notice.

use std::collections::HashMap;

use jobledger_tests::PATIENCE;
use jobledger_tests::alone::Request;
use jobledger_tests::at_once::each_of;
use jobledger_tests::faults::{Fault, Seen};
use serde_json::{Value, json};

use super::FaultFixture;

/// Fails the first attempts of each request.
fn at_first(tries: usize, fault: Fault) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    let mut seen_before: HashMap<String, usize> = HashMap::new();
    move |seen| {
        let count = seen_before.entry(format!("{} {}", seen.operation, seen.body)).or_default();
        *count += 1;
        if *count <= tries { fault.clone() } else { Fault::None }
    }
}

async fn passing(fault: Fault, tries: usize) {
    let fixture = FaultFixture::start().await;
    let requests = fixture.requests().await;
    let (fixture, fault) = (&fixture, &fault);
    each_of(requests, |(name, request)| async move {
        let behind = fixture.behind(name).await;
        behind.proxy.plan(at_first(tries, fault.clone()));
        let reply = tokio::time::timeout(PATIENCE, behind.call(&request)).await.expect("an answer");
        assert!([200, 201, 202, 307].contains(&reply.status), "{name}, {fault:?}: {}", reply.text);
    })
    .await;
}

#[tokio::test]
async fn short_throttling_is_retried() {
    passing(Fault::throttled(), 2).await;
}

#[tokio::test]
async fn a_few_server_errors_are_retried() {
    passing(Fault::broken(), 2).await;
}

#[tokio::test]
async fn a_few_cut_connections_are_retried() {
    passing(Fault::Lost, 2).await;
}

#[tokio::test]
async fn a_few_transaction_conflicts_are_retried() {
    passing(Fault::conflict(), 2).await;
}

/// The store does a part of each batch, and the rest at the retry. All items are written once.
#[tokio::test]
async fn unprocessed_items_of_a_batch_are_retried() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.behind("ingest-jobs").await;
    let line = |number: usize| json!({ "external_id": number.to_string(), "type": "x", "status": "queued", "payload": number });
    let lines: Vec<String> = (0..100).map(|number| line(number).to_string()).collect();
    let request = Request::new("POST", "/v1/admin/ingest/jobs").body(lines.join("\n"));
    for outcome in ["/created", "/unchanged"] {
        behind.proxy.plan(|seen| match seen.operation.as_str() {
            "BatchGetItem" => Fault::LeftOver(30),
            "BatchWriteItem" => Fault::LeftOver(9),
            _ => Fault::None,
        });
        let reply = behind.call(&request).await;
        assert_eq!((reply.status, reply.at(outcome)), (200, &json!(100)), "{}", reply.text);
    }
    assert_eq!(fixture.heads().await.len(), 100);
    let reader = fixture.behind("get-job").await;
    for (id, head) in fixture.heads().await.iter().take(10) {
        let reply = reader.call(&Request::new("GET", &format!("/v1/jobs/{id}"))).await;
        let number: Value = reply.at("/external_id").as_str().expect("an id").parse().expect("a number");
        assert_eq!(reply.at("/payload"), &number, "{head:?}");
    }
}
