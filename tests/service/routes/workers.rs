//! `GET /v1/workers`.

use jobledger_tests::claims::{ClaimedJob, claim, create_and_claim};
use jobledger_tests::jobs::{create, ingest_many};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

async fn workers(service: &Service) -> Value {
    let reply = service.get("/v1/workers").expect(200).await;
    assert_eq!(reply.at("/total_kind"), "exact");
    assert_eq!(reply.at("/total").as_u64(), reply.at("/workers").as_array().map(|all| all.len() as u64));
    reply.at("/workers").clone()
}

/// So many jobs of a type, claimed by a worker.
async fn held_by(service: &Service, worker: &str, kind: &str, count: usize) -> Vec<ClaimedJob> {
    for _ in 0..count {
        create(service, &json!({ "type": kind })).await;
    }
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(claim(service, &json!({ "worker_id": worker, "types": [kind], "max": 10 })).await);
    }
    held
}

#[tokio::test]
async fn each_worker_is_listed_with_the_jobs_that_it_holds() {
    let service = Service::shared().await;
    assert_eq!(workers(&service).await, json!([]));
    // Nobody holds a job that is only reported to run.
    ingest_many(&service, &service.owner, "a", 3, &["running"]).await;
    assert_eq!(workers(&service).await, json!([]));
    let mut second = held_by(&service, "w-2", "a", 12).await;
    let first = held_by(&service, "w-1", "b", 1).await;
    second.extend(held_by(&service, "w-2", "c", 1).await);
    let listed = workers(&service).await;
    let job = &first[0].job;
    let expect = json!({
        "worker_id": "w-1", "jobs": 1, "job_ids": [first[0].id], "types": ["b"], "since": job["started_at"],
        "lease_expires_at": job["lease_expires_at"],
    });
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]), (Some(2), &expect));
    let other = &listed[1];
    assert_eq!(
        (&other["worker_id"], &other["jobs"], &other["types"]),
        (&json!("w-2"), &json!(13), &json!(["a", "c"]))
    );
    // The jobs whose attempts began first are named, ten at most.
    let mut began: Vec<(String, &str)> =
        second.iter().map(|held| (text(&held.job["started_at"]), held.id.as_str())).collect();
    began.sort_unstable();
    let named: Vec<&str> = began.iter().take(10).map(|(_, id)| *id).collect();
    assert_eq!((&other["since"], &other["job_ids"]), (&json!(began[0].0), &json!(named)));
    let leases = second.iter().map(|held| text(&held.job["lease_expires_at"]));
    assert_eq!(other["lease_expires_at"], json!(leases.max()));
    // A worker that holds nothing any more is not listed.
    first[0].tell(&service, &json!({ "status": "completed" })).await;
    assert_eq!(workers(&service).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn workers_of_other_owners_are_not_listed() {
    let service = Service::start().await;
    create_and_claim(&service, &json!({ "type": "a" })).await;
    assert_eq!(workers(&service).await[0]["worker_id"], "w");
    let reply = service.get("/v1/workers?owner=other").expect(200).await;
    assert_eq!(reply.json, json!({ "workers": [], "total": 0, "total_kind": "exact" }));
    add_key(&service, "others", "other", &["read"], None).await;
    let reply = service.anonymous("GET", "/v1/workers").header("x-api-key", "others").send().await;
    assert_eq!((reply.status, reply.at("/total")), (200, &json!(0)));
    add_key(&service, "writer", "default", &["write", "work"], None).await;
    let reply = service.anonymous("GET", "/v1/workers").header("x-api-key", "writer").send().await;
    is_problem(&reply, 403, "missing_scope");
    refuses(&service.get("/v1/workers?type=a").send().await, 422, "invalid_query", &["type"]);
}
