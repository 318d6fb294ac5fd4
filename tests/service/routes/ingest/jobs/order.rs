//! Jobs that wait go in the order of their lines, within a call and from call to call.

use jobledger_tests::Service;
use jobledger_tests::alone::Request;
use jobledger_tests::claims::{claim_jobs_a_minute_ahead, claim_of};
use jobledger_tests::jobs::{create, ingest};
use serde_json::{Value, json};

/// Jobs of one call: more than are read or written at once.
const LINES: u64 = 130;

fn line(number: u64) -> Value {
    json!({ "external_id": number.to_string(), "type": "a", "status": "queued" })
}

/// The external ids of all jobs that wait, in the order in which a worker gets them.
async fn claimed(service: &Service) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let held = claim_of(service, "a", 10).await;
        if held.is_empty() {
            return numbers;
        }
        let number = |job: &Value| job["external_id"].as_str().and_then(|id| id.parse::<u64>().ok());
        numbers.extend(held.iter().filter_map(|held| number(&held.job)));
    }
}

/// Two calls, with a time of the lines or without one.
async fn comes_in_order(service: &Service, name: Option<&str>) {
    let lines = |numbers: std::ops::Range<u64>| {
        let lines = numbers.map(|number| {
            let mut line = line(number);
            if let Some(name) = name {
                line[name] = json!("2026-01-01T00:00:00Z");
            }
            line
        });
        Value::Array(lines.collect())
    };
    assert_eq!(ingest(service, &lines(0..LINES)).await, [LINES, 0, 0, 0]);
    assert_eq!(ingest(service, &lines(LINES..2 * LINES)).await, [LINES, 0, 0, 0]);
    assert_eq!(claimed(service).await, (0..2 * LINES).collect::<Vec<_>>(), "{name:?}");
}

#[tokio::test]
async fn lines_without_times_are_claimed_in_file_order() {
    comes_in_order(&Service::shared().await, None).await;
}

#[tokio::test]
async fn lines_of_the_same_second_are_claimed_in_file_order() {
    comes_in_order(&Service::shared().await, Some("created_at")).await;
}

#[tokio::test]
async fn index_shards_keep_file_order() {
    comes_in_order(&Service::with(&[("IndexShards", "4")]).await, None).await;
}

#[tokio::test]
async fn lines_that_become_due_together_are_claimed_in_file_order() {
    let service = Service::start().await;
    let due = (jobledger::lambda::system_clock().plus_millis(30_000)).to_string();
    let lines = (0..9).map(|number| {
        let mut line = line(number);
        line["available_at"] = json!(due);
        line
    });
    assert_eq!(ingest(&service, &Value::Array(lines.collect())).await, [9, 0, 0, 0]);
    let later = claim_jobs_a_minute_ahead(&service).await;
    let request = json!({ "worker_id": "w", "types": ["a"], "max": 9 }).to_string();
    let reply = later.call(&Request::new("POST", "/v1/jobs/claim").body(&request)).await;
    let jobs = reply.at("/jobs").as_array().expect("jobs");
    let ids: Vec<_> = jobs.iter().map(|job| job["external_id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn a_changed_line_keeps_its_place() {
    let service = Service::shared().await;
    let created = |number: u64, name: &str| {
        let mut line = line(number);
        (line["created_at"], line["name"]) = (json!("2026-01-01T00:00:00Z"), json!(name));
        line
    };
    let all = |numbers: &[u64], name: &str| {
        Value::Array(numbers.iter().map(|number| created(*number, name)).collect())
    };
    assert_eq!(ingest(&service, &all(&[4, 3, 2, 1], "first")).await, [4, 0, 0, 0]);
    assert_eq!(ingest(&service, &all(&[1, 3], "changed")).await, [0, 2, 0, 0]);
    // A job that was created later goes behind them.
    create(&service, &json!({ "type": "a", "external_id": "9" })).await;
    assert_eq!(claimed(&service).await, [4, 3, 2, 1, 9]);
}
