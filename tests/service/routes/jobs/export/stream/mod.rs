//! The file of an export: the test parses every format and compares it with the list.

mod broken;
mod refusals;

use std::collections::BTreeMap;

use futures_util::StreamExt;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

/// This many jobs make several parts of a file.
const MANY: usize = 1_300;

/// A job of one of two types, running or ended.
fn job(number: usize, has_ended: bool) -> Value {
    let minute = format!("2026-01-{:02}T05:{:02}:00Z", 1 + number / 60 % 28, number % 60);
    let mut job = json!({
        "external_id": format!("e-{number}"), "type": if number.is_multiple_of(3) { "scrape" } else { "render" },
        "status": "running", "created_at": minute, "started_at": minute, "name": format!("job {number}"),
    });
    if has_ended {
        job["status"] = json!("completed");
        job["completed_at"] = json!(minute);
        job["labels"] = json!({ "team": format!("t{}", number % 5), "stage": "last" });
        job["cost_usd"] = json!("0.012500");
    }
    job
}

/// Ingests this many jobs, of which every second one has ended.
pub(super) async fn many_jobs(service: &Service) {
    let jobs: Vec<Value> = (0..MANY).map(|number| job(number, number.is_multiple_of(2))).collect();
    assert_eq!(ingest(service, &json!(jobs)).await[0], MANY as u64);
    service.settled().await;
}

/// The file of a query, through the route and its ticket, as clients get it.
pub(super) async fn file(service: &Service, query: &str) -> Reply {
    service.get(&format!("/v1/jobs/export?{query}")).expect(200).await
}

/// All jobs of the same query, from the list.
async fn listed(service: &Service, query: &str) -> Vec<Value> {
    let mut jobs = Vec::new();
    let mut path = format!("/v1/jobs?limit=100&{query}");
    loop {
        let page = service.get(&path).expect(200).await;
        jobs.extend(page.at("/jobs").as_array().expect("jobs").iter().cloned());
        let Some(cursor) = page.at("/next_cursor").as_str() else { return jobs };
        path = format!("/v1/jobs?limit=100&{query}&cursor={cursor}");
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// The lines of a table, by the names of its columns.
pub(super) fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|line| line.expect("a line of the table")).collect()
}

#[tokio::test]
async fn every_format_has_the_jobs_of_the_list_over_several_parts() {
    let service = Service::start().await;
    many_jobs(&service).await;
    for query in ["", "sort_order=asc", "type=scrape", "type=render&status=running&from_date=2026-01-03"] {
        let jobs = listed(&service, query).await;
        assert!(jobs.len() > 300, "{query}: {}", jobs.len());
        assert_eq!(lines(&file(&service, &format!("format=ndjson&{query}")).await.text), jobs, "{query}");
        assert_eq!(file(&service, &format!("format=json&{query}")).await.json, json!(jobs), "{query}");
        let rows = table(&file(&service, query).await.text);
        assert_eq!(rows.len(), jobs.len());
        for (row, job) in rows.iter().zip(&jobs) {
            for name in ["job_id", "external_id", "type", "status", "name", "created_at", "updated_at"] {
                assert_eq!(json!(row[name]), job[name], "{name}");
            }
            let optional = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
            for name in ["started_at", "completed_at", "cost_usd", "available_at", "phase", "trace_id"] {
                assert_eq!(row[name], optional(name), "{name}");
            }
            assert_eq!(row["priority"], job["priority"].to_string());
            assert_eq!(row["duration_ms"], job.get("duration_ms").map(Value::to_string).unwrap_or_default());
            assert_eq!(row["team"], job["labels"]["team"].as_str().unwrap_or_default());
            let rest: Value = serde_json::from_str(&row["labels"]).expect("JSON");
            let stage = if job["status"] == "completed" { json!({ "stage": "last" }) } else { json!({}) };
            assert_eq!(rest, stage);
        }
    }
}

#[tokio::test]
async fn a_file_has_its_name_and_its_type() {
    let service = Service::shared().await;
    create(&service, &json!({ "type": "a" })).await;
    for (query, ending, r#type) in [
        ("", "csv", "text/csv; charset=utf-8; header=present"),
        ("format=csv", "csv", "text/csv; charset=utf-8; header=present"),
        ("format=json", "json", "application/json"),
        ("format=ndjson", "ndjson", "application/x-ndjson"),
    ] {
        let reply = file(&service, query).await;
        assert_eq!(reply.header("content-type"), Some(r#type));
        let name = reply.header("content-disposition").expect("a name");
        assert!(name.starts_with("attachment; filename=\"jobs-2"), "{name}");
        assert!(name.ends_with(&format!("Z.{ending}\"")), "{name}");
        assert!(reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_list_without_jobs_is_a_file_without_jobs() {
    let service = Service::shared().await;
    let text = file(&service, "").await.text;
    assert_eq!(text.matches("\r\n").count(), 1, "{text}");
    // The names are quoted. A reader that samples a file then sees that it has quotation marks.
    assert!(text.starts_with(r#""job_id","external_id","type","status","#), "{text}");
    // New columns come at the end.
    let last = r#","trace_id","error_code","last_error_message","worker_id","lease_expires_at""#;
    assert!(text.ends_with(&format!("{last}\r\n")), "{text}");
    assert_eq!(file(&service, "format=json").await.json, json!([]));
    assert_eq!(file(&service, "format=ndjson").await.text, "");
}

#[tokio::test]
async fn no_cell_is_a_formula_and_every_text_survives() {
    let service = Service::shared().await;
    let names = ["=1+1", "+1", "-1", "@SUM(A1)", "a,b", "say \"so\"", "=\"a\",b", "'=1", "plain", "ä=ö"];
    for name in names {
        let body = json!({ "type": "a", "name": name, "labels": { "team": name, "rest": name } });
        create(&service, &body).await;
    }
    let time = "2026-01-01T05:00:00Z";
    let error = json!([{
        "external_id": "failed", "type": "b", "status": "failed", "error": "=cmd|'/c'\r\n\"x\"",
        "created_at": time, "started_at": time, "completed_at": time,
    }]);
    assert_eq!(ingest(&service, &error).await, [1, 0, 0, 0]);
    let rows = table(&file(&service, "type=a&sort_order=asc").await.text);
    assert_eq!(rows.len(), names.len());
    for (row, name) in rows.iter().zip(names) {
        let is_formula = name.starts_with(['=', '+', '-', '@']);
        let expected = if is_formula { format!("'{name}") } else { name.to_owned() };
        assert_eq!((&row["name"], &row["team"]), (&expected, &expected));
        assert_eq!(serde_json::from_str::<Value>(&row["labels"]).expect("JSON"), json!({ "rest": name }));
    }
    let failed = table(&file(&service, "type=b").await.text);
    assert_eq!(failed[0]["error_message"], "'=cmd|'/c'\r\n\"x\"");
}

#[tokio::test]
async fn jobs_that_change_meanwhile_are_there_once() {
    let service = Service::start().await;
    many_jobs(&service).await;
    let environment = service.stack.environment("export-jobs").expect("the function");
    let function = Alone::start("export-jobs", environment).await;
    let mut answer = function.open(&Request::new("GET", "/v1/jobs/export?format=ndjson")).await;
    let mut text = answer.body.next().await.expect("a piece").expect("the first part").to_vec();
    // Running jobs end, and a new one is created. All earlier jobs must be in the file once.
    let ended: Vec<Value> =
        (0..MANY).filter(|number| number % 2 == 1).map(|number| job(number, true)).collect();
    assert_eq!(ingest(&service, &json!(ended)).await[1], (MANY / 2) as u64);
    create(&service, &json!({ "type": "new" })).await;
    while let Some(piece) = answer.body.next().await {
        text.extend_from_slice(&piece.expect("the rest"));
    }
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for job in lines(&String::from_utf8(text).expect("text")) {
        *seen.entry(job["job_id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    assert_eq!(seen.len(), MANY);
    assert!(seen.values().all(|times| *times == 1));
}
