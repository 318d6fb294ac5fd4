//! The reaper's note and how the metrics show it; and the ends of attempts, which the stream counts.

use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::metrics::{Samples, is_well_formed};
use jobledger_tests::text;
use std::collections::BTreeSet;

use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use serde_json::{Value, json};

use super::{Ended, NOTHING, ReaperFixture, later};

const HOUR_MS: i64 = 3_600_000;

/// A queued job that is due at this time.
fn waiting(external_id: &str, kind: &str, priority: i64, due: Timestamp) -> Value {
    json!({
        "external_id": external_id, "type": kind, "status": "queued", "priority": priority,
        "created_at": "2026-01-01T00:00:00Z", "available_at": due,
    })
}

fn oldest(kind: &str) -> String {
    format!("jobledger_queue_oldest_waiting_seconds{{type=\"{kind}\"}}")
}

/// The longest wait of the type must be about this many milliseconds.
#[track_caller]
fn waits(samples: &Samples, kind: &str, millis: i64) {
    let said = i64::try_from(samples.millis(&oldest(kind))).expect("a time");
    assert!((millis..millis + 60_000).contains(&said), "{kind}: {said}, not about {millis}");
}

#[tokio::test]
async fn the_longest_waiting_job_is_found_at_any_priority() {
    let fixture = ReaperFixture::start().await;
    let (now, ago) = (system_clock(), |hours: i64| system_clock().plus_millis(-hours * HOUR_MS));
    let mut jobs = vec![waiting("first", "one", 5, ago(3)), waiting("second", "one", 5, ago(2))];
    // In `low`, the last job in line has waited longest; in `high`, the first.
    for priority in 0..=10 {
        jobs.push(waiting(&format!("low-{priority}"), "low", priority, ago(20 - priority)));
        jobs.push(waiting(&format!("high-{priority}"), "high", priority, ago(10 + priority)));
    }
    jobs.push(waiting("never", "never", 5, now.plus_millis(100 * HOUR_MS)));
    // Not due now, but due at the time of the reaper's run an hour from now.
    jobs.push(waiting("soon", "soon", 5, now.plus_millis(10_000)));
    let count = u64::try_from(jobs.len()).expect("a count");
    assert_eq!(ingest(&fixture.service, &json!(jobs)).await, [count, 0, 0, 0]);
    let other = waiting("other", "one", 5, ago(7));
    let path = "/v1/admin/ingest/jobs?owner=other";
    fixture.service.post(path, &json!([other])).expect(200).await;

    fixture.ends(system_clock, NOTHING).await;
    let samples = Samples::scrape(&fixture.service).await;
    for (kind, hours) in [("one", 7), ("low", 20), ("high", 20)] {
        waits(&samples, kind, hours * HOUR_MS);
    }
    assert_eq!(samples.of("jobledger_queue_oldest_waiting_seconds").count(), 3, "nobody else is due");
    is_well_formed(&fixture.service).await;

    fixture.ends(later, NOTHING).await;
    let samples = Samples::scrape(&fixture.service).await;
    samples.check(&oldest("soon"), "0.0");
    assert_eq!(samples.of("jobledger_queue_oldest_waiting_seconds").count(), 4);
    let noted = samples.millis("jobledger_queue_noted_timestamp_seconds");
    assert_eq!(noted, u64::try_from(later().millis()).expect("a time"));
}

#[tokio::test]
async fn claimed_jobs_are_shown_by_worker_until_none_is_claimed() {
    let fixture = ReaperFixture::start().await;
    let before = Samples::scrape(&fixture.service).await;
    assert_eq!(before.of("jobledger_active_tries").count() + before.of("jobledger_queue").count(), 0);
    for (kind, worker) in [("a", "w1"), ("a", "w1"), ("a", "w2"), ("b", "w1"), ("idle", "")] {
        create(&fixture.service, &json!({ "type": kind })).await;
        if !worker.is_empty() {
            let claim = json!({ "worker_id": worker, "types": [kind], "lease_seconds": 900 });
            let reply = fixture.service.post("/v1/jobs/claim", &claim).expect(200).await;
            assert_eq!(reply.at("/jobs").as_array().map(Vec::len), Some(1));
        }
    }
    // A job that another system only reports has no worker.
    let reported = create(&fixture.service, &json!({ "type": "b" })).await;
    let path = format!("/v1/jobs/{reported}");
    fixture.service.call("PATCH", &path).json(&json!({ "status": "running" })).expect(200).await;
    fixture.ends(system_clock, NOTHING).await;
    let samples = Samples::scrape(&fixture.service).await;
    for (kind, tries) in [("a", "3"), ("b", "1"), ("idle", "0")] {
        samples.check(&format!("jobledger_active_tries{{type=\"{kind}\"}}"), tries);
    }
    samples.check("jobledger_active_workers", "2");
    is_well_formed(&fixture.service).await;

    fixture.ends(later, Ended { failed: 4, ..NOTHING }).await;
    let samples = Samples::scrape(&fixture.service).await;
    samples.check("jobledger_active_workers", "0");
    samples.check("jobledger_active_tries{type=\"a\"}", "0");
}

#[tokio::test]
async fn attempts_are_counted_by_how_they_ended() {
    let fixture = ReaperFixture::start().await;
    let service = &fixture.service;
    fixture.limit("x", &json!({ "backoff_seconds": 0 })).await;
    let report = async |id: &str, body: Value| {
        service.call("PATCH", &format!("/v1/jobs/{id}")).json(&body).expect(200).await;
    };
    let job = json!({ "type": "x", "max_attempts": 2 });
    let (done, token) = fixture.claimed(&job).await;
    report(&done, json!({ "lease_token": token, "status": "completed" })).await;
    let (called_off, _) = fixture.claimed(&job).await;
    service.call("POST", &format!("/v1/jobs/{called_off}/cancel")).expect(200).await;
    // A worker hands the job back, another one claims it, and at last it fails.
    let (failed, token) = fixture.claimed(&job).await;
    report(&failed, json!({ "lease_token": token, "status": "queued" })).await;
    for _ in 0..2 {
        let claim = json!({ "worker_id": "w", "types": ["x"] });
        let token = service.eventually("the job", || async {
            let reply = service.post("/v1/jobs/claim", &claim).expect(200).await;
            reply.json["jobs"].get(0).map(|job| text(&job["lease_token"]))
        });
        let error = json!({ "message": "no", "code": "out_of_memory" });
        report(&failed, json!({ "lease_token": token.await, "status": "failed", "error": error })).await;
    }
    assert_eq!(fixture.job(&failed).await["status"], "failed");
    fixture.claimed(&json!({ "type": "x", "timeout_seconds": 2 })).await;
    fixture.claimed(&job).await;
    fixture.ends(later, Ended { queued: 1, failed: 1, ..NOTHING }).await;
    // A job that never ran has no attempt to count.
    let id = create(service, &json!({ "type": "y" })).await;
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;

    service.settled().await;
    let samples = Samples::scrape(service).await;
    let ended = [
        ("completed", "1"),
        ("failed", "2"),
        ("cancelled", "1"),
        ("lease_expired", "1"),
        ("timeout", "1"),
        ("handed_back", "1"),
    ];
    for (outcome, expect) in ended {
        samples.check(&format!("jobledger_job_tries_total{{type=\"x\",outcome=\"{outcome}\"}}"), expect);
        samples.check(&format!("jobledger_job_tries_total{{type=\"y\",outcome=\"{outcome}\"}}"), "0");
    }
    samples.balance();
    is_well_formed(service).await;
}

/// The metrics have all names that the example for scaling workers queries.
#[tokio::test]
async fn the_documented_queries_name_existing_metrics() {
    let fixture = ReaperFixture::start().await;
    let job = waiting("one", "transcode", 5, system_clock().plus_millis(-HOUR_MS));
    assert_eq!(ingest(&fixture.service, &json!([job])).await, [1, 0, 0, 0]);
    fixture.ends(system_clock, NOTHING).await;
    let samples = Samples::scrape(&fixture.service).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/keda");
    for (file, expect) in [("scaledobject.yaml", 3), ("README.md", 3)] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).expect("a file");
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let names: BTreeSet<&str> = words.filter(|word| word.starts_with("jobledger_")).collect();
        assert_eq!(names.len(), expect, "{file}: {names:?}");
        for name in names {
            let is_there = samples.of(name).any(|(series, _)| series.split('{').next() == Some(name));
            assert!(is_there, "{file} asks for {name}");
        }
    }
    let example = std::fs::read_to_string(format!("{folder}/scaledobject.yaml")).expect("a file");
    let example: Value = yaml_serde::from_str(&example).expect("YAML");
    assert_eq!(example["kind"], "ScaledObject");
    let triggers = example["spec"]["triggers"].as_array().expect("triggers");
    assert!(
        triggers
            .iter()
            .all(|trigger| trigger["type"] == "prometheus" && trigger["metadata"]["threshold"].is_string())
    );
}
