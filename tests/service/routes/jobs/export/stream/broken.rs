//! Events in the middle of a file: failures, slow readers, and the function's timeout.

use std::time::Duration;

use futures_util::StreamExt;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::{Fault, Proxy, SECRET};
use jobledger_tests::{PATIENCE, Service};
use serde_json::Value;

use super::{MANY, many_jobs};

/// The function behind a proxy, with many jobs to write.
async fn behind(service: &Service) -> (Alone, Proxy) {
    many_jobs(service).await;
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    (Alone::start("export-jobs", service.environment_at("export-jobs", proxy.url())).await, proxy)
}

fn export(format: &str) -> Request {
    Request::new("GET", &format!("/v1/jobs/export?format={format}"))
}

/// How many requests for jobs the proxy has seen.
fn reads(proxy: &Proxy) -> usize {
    proxy.operations().iter().filter(|operation| *operation == "Query").count()
}

#[tokio::test]
async fn a_store_that_fails_at_first_is_an_ordinary_problem() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service).await;
    proxy.plan(|seen| if seen.operation == "Query" { Fault::refused() } else { Fault::None });
    let mut answer = function.open(&export("json")).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let body = answer.body.next().await.expect("a body").expect("whole");
    assert!(answer.body.next().await.is_none());
    let problem: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(problem["code"], "internal");
    assert!(!problem.to_string().contains(SECRET));
}

#[tokio::test]
async fn a_failure_in_the_middle_cuts_the_file_off() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service).await;
    for format in ["csv", "json", "ndjson"] {
        let mut queries = 0;
        proxy.plan(move |seen| {
            queries += usize::from(seen.operation == "Query");
            if queries == 2 { Fault::refused() } else { Fault::None }
        });
        let mut answer = function.open(&export(format)).await;
        assert_eq!(answer.status, 200);
        let piece = answer.body.next().await.expect("a piece").expect("the first part");
        let error = answer.body.next().await.expect("an end").expect_err("the second part fails");
        assert!(!error.to_string().contains(SECRET), "{error}");
        assert!(answer.body.next().await.is_none());
        assert!(serde_json::from_slice::<Value>(&piece).is_err(), "{format}: what came looks whole");
    }
}

#[tokio::test]
async fn a_caller_over_http_sees_that_the_file_is_not_whole() {
    // A whole stack, over a DynamoDB that fails at the third part.
    let engine = Service::start().await;
    many_jobs(&engine).await;
    let proxy = Proxy::start(engine.stack.dynamodb_endpoint()).await;
    let mut options = Service::options();
    options.dynamodb = jobledger_local::DynamoDb::Endpoint(proxy.url().to_owned());
    let tables: Vec<String> = engine.stack.template().tables.iter().map(|table| table.name.clone()).collect();
    options.table_prefix = tables[0].strip_suffix("JobsTable").expect("a prefix").to_owned();
    let service = Service::with_options(options).await;
    for format in ["csv", "json", "ndjson"] {
        let mut lists = 0;
        proxy.plan(move |seen| {
            lists += usize::from(seen.body["IndexName"] == "owner-index");
            if lists == 3 { Fault::refused() } else { Fault::None }
        });
        let mut open = service.get(&format!("/v1/jobs/export?format={format}")).open().await;
        assert_eq!(open.status().as_u16(), 200);
        let mut bytes = 0;
        let cut = loop {
            match open.chunk().await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        assert!(cut.is_some(), "{format}: the transfer ended in good order after {bytes} bytes");
    }
}

#[tokio::test]
async fn the_next_part_is_read_when_the_last_is_taken() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service).await;
    proxy.heal();
    let mut answer = function.open(&export("ndjson")).await;
    let (mut taken, mut lines) = (0, 0);
    // However slow the reader is, the function reads at most one part ahead.
    assert!(reads(&proxy) <= 1);
    while let Some(piece) = answer.body.next().await {
        taken += 1;
        lines += String::from_utf8_lossy(&piece.expect("a piece")).matches('\n').count();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(reads(&proxy) <= taken + 1, "{} parts read, {taken} taken", reads(&proxy));
    }
    assert_eq!(lines, MANY);
    assert!(taken >= 3, "{taken}");
}

#[tokio::test]
async fn a_file_breaks_off_before_lambda_would_end_the_function() {
    let service = Service::start().await;
    let (function, proxy) = behind(&service).await;
    let function = function.ends_in(Duration::from_secs(8));
    let mut queries = 0;
    proxy.plan(move |seen| {
        queries += usize::from(seen.operation == "Query");
        if queries >= 2 { Fault::Held } else { Fault::None }
    });
    let mut answer = function.open(&export("csv")).await;
    assert_eq!(answer.status, 200);
    answer.body.next().await.expect("a piece").expect("the first part");
    let end = tokio::time::timeout(PATIENCE, answer.body.next()).await.expect("an end in time");
    assert!(end.expect("an end").is_err());
    assert!(answer.body.next().await.is_none());
}
