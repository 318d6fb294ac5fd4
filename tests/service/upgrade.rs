//! Data of version 0.1.0 opens under this version: `tests/fixtures` has a database of 0.1.0, and its answers.

use std::fs;
use std::io::Read;

use flate2::read::GzDecoder;
use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger_tests::Reply;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::direct::environment;
use jobledger_tests::engine::Engine;
use serde_json::{Value, json};
use tempfile::TempDir;

const DATABASE: &[u8] = include_bytes!("../fixtures/stored-by-0.1.0.sqlite.gz");
const ANSWERS: &str = include_str!("../fixtures/stored-by-0.1.0.json");

/// The time at which the database was written. Its leases are still valid then.
fn then() -> Timestamp {
    Timestamp::from_millis(1_796_067_600_000)
}

/// The database of 0.1.0, and the answers of its functions.
struct Stored {
    engine: Engine,
    said: Value,
    _directory: TempDir,
}

impl Stored {
    fn open() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("dynamodb.sqlite");
        let mut database = Vec::new();
        GzDecoder::new(DATABASE).read_to_end(&mut database).expect("a compressed database");
        fs::write(&file, database).expect("a file");
        let said = serde_json::from_str(ANSWERS).expect("JSON");
        Self { engine: Engine::open(&file), said, _directory: directory }
    }

    fn id(&self, name: &str) -> &str {
        self.said["ids"][name].as_str().expect("an id")
    }

    async fn call(&self, function: &str, request: &Request) -> Reply {
        let environment = Environment { clock: then, ..environment(&self.engine) };
        Alone::start(function, environment).await.call(request).await
    }

    async fn job(&self, name: &str) -> Reply {
        let reply = self.call("get-job", &Request::new("GET", &format!("/v1/jobs/{}", self.id(name)))).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text);
        reply
    }
}

/// The jobs of a list by id, without the fields that depend on the time of the answer.
fn sorted(list: &Value) -> Value {
    let mut jobs = list["jobs"].as_array().expect("jobs").clone();
    for job in &mut jobs {
        job["progress"].as_object_mut().expect("progress").remove("eta_seconds");
        // Version 0.1.0 had these only in a whole job.
        for name in ["worker_id", "lease_expires_at", "last_error"] {
            job.as_object_mut().expect("a job").remove(name);
        }
    }
    jobs.sort_by_key(|job| job["job_id"].to_string());
    Value::Array(jobs)
}

/// The attempts of a job, without the outcome, which 0.1.0 did not show.
fn attempts(job: &Reply) -> Value {
    let mut attempts = job.at("/attempts").as_array().expect("attempts").clone();
    for attempt in &mut attempts {
        let outcome = attempt.as_object_mut().expect("an attempt").remove("outcome");
        assert!(outcome.is_some_and(|outcome| outcome.is_string()), "{}", job.text);
    }
    Value::Array(attempts)
}

#[tokio::test]
async fn lists_counts_and_attempts_are_as_they_were() {
    let stored = Stored::open();
    let list = stored.call("list-jobs", &Request::new("GET", "/v1/jobs?limit=100")).await;
    assert_eq!(list.at("/total"), &stored.said["count"]["total"]);
    assert_eq!(sorted(&list.json), stored.said["jobs"]);
    let count = stored.call("get-job-count", &Request::new("GET", "/v1/jobs/count")).await;
    assert_eq!(count.json, stored.said["count"]);
    for (name, attempts) in stored.said["attempts"].as_object().expect("attempts") {
        assert_eq!(&self::attempts(&stored.job(name).await), attempts, "{name}");
    }
    let waits = stored.job("waits").await;
    assert!(
        waits.text.contains(r#""payload":{"a": [1, 2.5, null]}"#),
        "a payload is given back as it was written: {}",
        waits.text
    );
    assert_eq!(waits.at("/metadata"), &json!({ "k": "v" }));
    assert_eq!(stored.job("done").await.at("/result"), &json!({ "ok": true }));
    let gone = Request::new("GET", &format!("/v1/jobs/{}", stored.id("gone")));
    assert_eq!(stored.call("get-job", &gone).await.status, 404);
}

#[tokio::test]
async fn jobs_go_on_from_where_they_stood() {
    let stored = Stored::open();
    // The lease from 0.1.0 is valid, and its slot is freed.
    let token = stored.said["lease_token"].as_str().expect("a token");
    let held = format!("/v1/jobs/{}", stored.id("held"));
    let heartbeat = json!({ "lease_token": token, "progress": { "overall_progress": 50 } }).to_string();
    let reply = stored.call("update-job", &Request::new("PATCH", &held).body(&heartbeat)).await;
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("running")), "{}", reply.text);
    let end = json!({ "lease_token": token, "status": "completed", "result": 1 }).to_string();
    let reply = stored.call("update-job", &Request::new("PATCH", &held).body(&end)).await;
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("completed")), "{}", reply.text);
    let limited = stored.call("type-settings", &Request::new("GET", "/v1/types/limited")).await;
    assert_eq!((limited.at("/max_concurrency"), limited.at("/running")), (&json!(2), &json!(0)));
    // A worker claims the waiting job with its payload.
    let claim = json!({ "types": ["scrape"], "worker_id": "w" }).to_string();
    let reply = stored.call("claim-jobs", &Request::new("POST", "/v1/jobs/claim").body(&claim)).await;
    assert_eq!(reply.at("/jobs/0/job_id"), &json!(stored.id("waits")), "{}", reply.text);
    // The retry of a failed job keeps the failed attempt.
    let retry = format!("/v1/jobs/{}/retry", stored.id("failed"));
    let reply = stored.call("retry-job", &Request::new("POST", &retry)).await;
    assert_eq!((reply.status, reply.at("/max_attempts")), (200, &json!(2)), "{}", reply.text);
    assert_eq!(attempts(&stored.job("failed").await), stored.said["attempts"]["failed"]);
    // Ids made from an `external_id` or a key still name the same jobs.
    // 0.1.0 kept no key beside such a job: a call with an external_id is refused all the same.
    let other = json!({ "type": "scrape", "external_id": "other" }).to_string();
    let other = Request::new("POST", "/v1/jobs").header("idempotency-key", "k-1").body(&other);
    let reply = stored.call("create-job", &other).await;
    assert_eq!((reply.status, reply.at("/code")), (422, &json!("idempotency_key_reused")), "{}", reply.text);
    let again = json!({ "type": "scrape" }).to_string();
    let again = Request::new("POST", "/v1/jobs").header("idempotency-key", "k-1").body(&again);
    let reply = stored.call("create-job", &again).await;
    assert_eq!((reply.status, reply.at("/job_id")), (200, &json!(stored.id("by_key"))), "{}", reply.text);
}

#[tokio::test]
async fn records_and_keys_are_there() {
    let stored = Stored::open();
    let record = stored.call("record", &Request::new("GET", "/v1/records/source/c")).await;
    assert_eq!((record.status, record.at("/kind")), (200, &json!("source")), "{}", record.text);
    let count = stored.call("get-record-count", &Request::new("GET", "/v1/records/count")).await;
    assert_eq!(count.at("/total"), &json!(2), "{}", count.text);
    let key = format!("/v1/admin/keys/{}", stored.id("key_id"));
    let key = stored.call("keys", &Request::new("GET", &key)).await;
    assert_eq!(
        (key.at("/owner"), key.at("/requests_per_minute")),
        (&json!("acme"), &json!(600)),
        "{}",
        key.text
    );
}
