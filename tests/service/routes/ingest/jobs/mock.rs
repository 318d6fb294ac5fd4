//! `POST /v1/admin/ingest/jobs/mock`: the bundled sample.

use std::collections::{BTreeMap, BTreeSet};

use jobledger_tests::jobs::{total, went_in};
use jobledger_tests::problems::refuses;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

const PATH: &str = "/v1/admin/ingest/jobs/mock";

/// The sample in the repository.
const SAMPLE: &str = include_str!("../../../../../functions/src/ingest/jobs/mock.ndjson");

fn sample() -> Vec<Value> {
    SAMPLE.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// An amount of dollars, or a price of a GPU hour, in millionths.
fn micros(amount: &Value) -> u64 {
    let text = text(amount);
    let (whole, places) = text.split_once('.').unwrap_or((text.as_str(), ""));
    format!("{whole}{places:0<6}").parse().expect("a decimal")
}

/// Milliseconds of a day of January, and of a number of seconds with at most three places.
fn day_and_ms(time: &Value) -> u64 {
    let text = text(time);
    assert!(text.starts_with("2026-01-") && text.ends_with('Z'), "{text}");
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().expect("digits");
    let hours = number(8, 10) * 24 + number(11, 13);
    ((hours * 60 + number(14, 16)) * 60 + number(17, 19)) * 1_000 + number(20, 23)
}

fn seconds_as_ms(seconds: &Value) -> u64 {
    let text = seconds.to_string();
    let (whole, places) = text.split_once('.').unwrap_or((text.as_str(), ""));
    format!("{whole}{places:0<3}").parse().expect("at most three places")
}

#[test]
fn the_sample_has_the_documented_jobs() {
    let jobs = sample();
    let values =
        |name: &str| -> BTreeSet<String> { jobs.iter().map(|job| text(&job["labels"][name])).collect() };
    assert_eq!(jobs.len(), 30);
    assert_eq!(values("team").into_iter().collect::<Vec<_>>(), ["assistants", "media", "research"]);
    assert!(values("model").len() >= 6 && values("gpu_type").len() == 4 && values("provider").len() == 4);
    let days: BTreeSet<String> = jobs.iter().map(|job| text(&job["created_at"])[..10].to_owned()).collect();
    assert_eq!(days.len(), 14, "{days:?}");
    for job in &jobs {
        let [created, completed] = ["created_at", "completed_at"].map(|name| day_and_ms(&job[name]));
        assert!(completed > created && completed < 15 * 24 * 3_600_000, "{job}");
        // All jobs have ended, so no worker can claim one and none runs for ever.
        assert!(["completed", "failed", "cancelled"].contains(&text(&job["status"]).as_str()), "{job}");
        let Some(started) = job.get("started_at") else {
            assert_eq!((job.get("cost_usd"), &job["status"]), (None, &json!("cancelled")));
            continue;
        };
        let ran_ms = completed - day_and_ms(started);
        let stages_ms: u64 = job["timings"].as_object().expect("stages").values().map(seconds_as_ms).sum();
        assert_eq!(stages_ms, ran_ms, "{job}");
        // The cost is the price of its GPUs an hour times its run time, to the millionth of a dollar.
        let gpus = job["metadata"]["gpus"].as_u64().expect("a number");
        let price = micros(&job["metadata"]["usd_per_gpu_hour"]);
        assert_eq!(micros(&job["cost_usd"]), (gpus * price * ran_ms + 1_800_000) / 3_600_000, "{job}");
    }
}

/// No job repeats another one's numbers: models and runs differ.
#[test]
fn no_fine_tune_is_a_copy_of_another() {
    let jobs = sample();
    let done: Vec<&Value> =
        jobs.iter().filter(|job| job["type"] == "fine-tune" && job["status"] == "completed").collect();
    assert!(done.len() > 4);
    let differ = |what: &str, number: &dyn Fn(&Value) -> String| {
        let numbers: BTreeSet<String> = done.iter().map(|job| number(job)).collect();
        assert_eq!(numbers.len(), done.len(), "{what}: {numbers:?}");
    };
    let thousandths = |loss: &Value| seconds_as_ms(loss);
    differ("loss that it does not generalise by", &|job| {
        (thousandths(&job["result"]["eval_loss"]) - thousandths(&job["result"]["train_loss"])).to_string()
    });
    differ("upload", &|job| job["timings"]["upload"].to_string());
    differ("what it made", &|job| job["artifacts"][0]["size_bytes"].to_string());
    differ("log", &|job| job["artifacts"][1]["size_bytes"].to_string());
    differ("time a step", &|job| {
        (seconds_as_ms(&job["timings"]["train"]) / job["result"]["steps"].as_u64().expect("steps"))
            .to_string()
    });
}

#[tokio::test]
async fn the_sample_is_ingested_once() {
    let service = Service::start().await;
    for expect in [[30, 0, 0, 0], [0, 0, 30, 0]] {
        let reply = service.call("POST", PATH).expect(200).await;
        assert_eq!(went_in(&reply), expect, "{}", reply.text);
    }
    // A body of white space has no job.
    assert_eq!(went_in(&service.call("POST", PATH).body(" \n").expect(200).await), [0, 0, 30, 0]);
    // Through the other route, the same lines are the same jobs.
    let reply = service.call("POST", "/v1/admin/ingest/jobs").body(SAMPLE).expect(200).await;
    assert_eq!(went_in(&reply), [0, 0, 30, 0], "{}", reply.text);
    // Each owner has a sample of its own.
    let other = service.call("POST", &format!("{PATH}?owner=other")).expect(200).await;
    assert_eq!(went_in(&other), [30, 0, 0, 0]);
    service.settled().await;
    assert_eq!((total(&service, "").await, total(&service, "owner=other").await), (30, 30));
}

#[tokio::test]
async fn every_report_shows_the_sample() {
    let service = Service::shared().await;
    service.call("POST", PATH).expect(200).await;
    service.settled().await;
    let dates = "from_date=2026-01-01&to_date=2026-01-14";
    let stats = service.get(&format!("/v1/jobs/stats?{dates}")).expect(200).await;
    assert_eq!(stats.at("/total_jobs"), 30);
    let expect = json!({ "queued": 0, "running": 0, "completed": 24, "failed": 4, "cancelled": 2 });
    assert_eq!(stats.at("/status_breakdown"), &expect);
    assert_eq!(stats.at("/success_rate"), 80.0);
    assert_eq!(total(&service, dates).await, 30);
    assert_eq!(total(&service, "from_date=2026-01-15").await, 0);
    for label in ["team", "model"] {
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for job in sample() {
            let (cost, jobs) = sums.entry(text(&job["labels"][label])).or_default();
            *cost += job.get("cost_usd").map_or(0, micros);
            *jobs += 1;
        }
        let path = format!("/v1/analytics/cost/by-{label}?start=2026-01-01&end=2026-01-14");
        let report = service.get(&path).expect(200).await;
        let items = report.at("/items").as_array().expect("items");
        let told: BTreeMap<String, (u64, u64)> = items
            .iter()
            .map(|item| {
                (text(&item[label]), (micros(&item["cost_usd"]), item["jobs"].as_u64().expect("jobs")))
            })
            .collect();
        assert_eq!(told, sums, "{}", report.text);
    }
    // Each job is complete, and stays until a caller deletes it: its time in January is long over.
    let page = service.get("/v1/jobs?limit=100&team=media").expect(200).await;
    for summary in page.at("/jobs").as_array().expect("jobs") {
        let job = service.get(&format!("/v1/jobs/{}", text(&summary["job_id"]))).expect(200).await;
        let line =
            sample().into_iter().find(|line| line["external_id"] == *job.at("/external_id")).expect("a line");
        assert_eq!((job.at("/payload"), &job.json["expires_at"]), (&line["payload"], &Value::Null));
        let artifacts = line.get("artifacts").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(job.at("/artifacts").as_array().map(Vec::len), Some(artifacts), "{}", job.text);
    }
    // The command in docs/api.md deletes the jobs.
    let delete = json!({ "action": "delete", "filter": { "team": "media", "to_date": "2026-01-14" } });
    service.post("/v1/jobs/bulk", &delete).expect(202).await;
    service.settled().await;
    let left = [total(&service, "team=media").await, total(&service, dates).await];
    assert_eq!(left, [0, 18]);
}

#[tokio::test]
async fn the_sample_takes_no_body_and_no_names() {
    let service = Service::start().await;
    for body in ["{}", "[]", "{\"external_id\":\"1\",\"type\":\"a\",\"status\":\"queued\"}", "x"] {
        let reply = service.call("POST", PATH).body(body).send().await;
        refuses(&reply, 400, "invalid_body", &["body"]);
        assert!(reply.text.contains("/v1/admin/ingest/jobs"), "it is told where they go: {}", reply.text);
    }
    refuses(&service.call("POST", &format!("{PATH}?jobs=3")).send().await, 422, "invalid_query", &["jobs"]);
    refuses(&service.call("POST", &format!("{PATH}?owner=*")).send().await, 422, "invalid_query", &["owner"]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 0);
}
