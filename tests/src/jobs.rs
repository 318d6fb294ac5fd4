//! Jobs that tests create and ingest.

use serde_json::{Value, json};

use crate::{Reply, Service, text};

/// Creates a job; returns its id.
#[track_caller]
pub fn create(service: &Service, body: &Value) -> impl Future<Output = String> {
    let call = service.post("/v1/jobs", body).expect(201);
    async move { text(call.await.at("/job_id")) }
}

/// Ingests jobs; returns how many were created, updated, unchanged and rejected.
#[track_caller]
pub fn ingest(service: &Service, jobs: &Value) -> impl Future<Output = [u64; 4]> {
    let call = service.post("/v1/admin/ingest/jobs", jobs).expect(200);
    async move { went_in(&call.await) }
}

/// How many jobs were created, updated, unchanged and rejected.
pub fn went_in(reply: &Reply) -> [u64; 4] {
    let count = |name: &str| reply.at(name).as_u64().expect("a count");
    let rejected = reply.at("/rejected").as_array().expect("a list").len();
    [count("/created"), count("/updated"), count("/unchanged"), rejected.try_into().expect("a count")]
}

/// The total of a list.
pub async fn total(service: &Service, query: &str) -> u64 {
    let reply = service.get(&format!("/v1/jobs?limit=1&{query}")).expect(200).await;
    assert_eq!(reply.at("/total_kind"), "exact");
    reply.at("/total").as_u64().expect("a total")
}

/// Ingests this many jobs of a type. Their statuses alternate.
pub async fn ingest_many(service: &Service, owner: &str, kind: &str, count: usize, statuses: &[&str]) {
    let job = |number: usize| {
        let status = statuses[number % statuses.len()];
        let mut job = json!({ "external_id": format!("{kind}-{number}"), "type": kind, "status": status });
        if status != "queued" {
            job["started_at"] = json!("2026-01-01T00:00:00Z");
        }
        if ["completed", "failed", "cancelled"].contains(&status) {
            job["completed_at"] = json!("2026-01-01T00:00:10Z");
            job["ttl_hours"] = json!(1);
        }
        if status == "failed" {
            job["error"] = json!("it broke");
        }
        job
    };
    let jobs: Value = (0..count).map(job).collect();
    let path = format!("/v1/admin/ingest/jobs?owner={owner}");
    let reply = service.post(&path, &jobs).expect(200).await;
    assert_eq!(reply.at("/created"), count, "{}", reply.text);
}
