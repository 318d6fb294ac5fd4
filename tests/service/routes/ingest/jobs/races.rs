//! Lines of jobs that another caller changes at the same time.

use jobledger_tests::jobs::{create, ingest, total, went_in};
use jobledger_tests::metrics::Samples;
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::completed;

/// How often the test runs each race.
const ROUNDS: usize = 12;

/// A line of this job, whose payload differs from the old one.
fn line(external_id: &str, status: &str) -> Value {
    let mut line = completed(external_id);
    line["status"] = json!(status);
    line["payload"] = json!("of the line");
    line["created_at"] = Value::Null;
    for name in ["started_at", "completed_at"] {
        line[name] = json!(jobledger::lambda::system_clock().to_string());
    }
    match status {
        "running" => line["completed_at"] = Value::Null,
        "failed" => line["error"] = json!("why"),
        _ => {}
    }
    line
}

async fn send(service: &Service, line: &Value) -> Reply {
    service.post("/v1/admin/ingest/jobs", &json!([line])).expect(200).await
}

/// Creates a queued job, which workers can claim; returns its id.
async fn queued(service: &Service, external_id: &str) -> String {
    create(service, &json!({ "type": "a", "external_id": external_id, "payload": "as it was" })).await
}

async fn claim(service: &Service) -> Reply {
    service.post("/v1/jobs/claim", &json!({ "worker_id": "w", "types": ["a"], "max": 10 })).expect(200).await
}

async fn job(service: &Service, id: &str) -> Reply {
    service.get(&format!("/v1/jobs/{id}")).expect(200).await
}

#[tokio::test]
async fn a_job_is_claimed_or_upserted() {
    let service = Service::start().await;
    for round in 0..ROUNDS {
        let name = format!("n{round}");
        let id = queued(&service, &name).await;
        let line = line(&name, "completed");
        let (reply, claimed) = tokio::join!(send(&service, &line), claim(&service));
        let found = job(&service, &id).await;
        if claimed.at("/jobs/0/job_id") == &json!(id) {
            assert_eq!(went_in(&reply), [0, 0, 0, 1], "the worker's word counts: {}", reply.text);
            assert_eq!((found.at("/status"), found.at("/payload")), (&json!("running"), &json!("as it was")));
        } else {
            assert_eq!(went_in(&reply), [0, 1, 0, 0], "{}", reply.text);
            assert_eq!(
                (found.at("/status"), found.at("/payload")),
                (&json!("completed"), &json!("of the line"))
            );
        }
        assert_eq!(stored_parts(&service, &id).await.len(), 2, "a head and the input that it names");
    }
    service.settled().await;
    Samples::scrape(&service).await.balance();
}

#[tokio::test]
async fn a_job_that_is_held_is_its_workers() {
    let service = Service::shared().await;
    for round in 0..ROUNDS {
        let name = format!("n{round}");
        let id = queued(&service, &name).await;
        let claimed = claim(&service).await;
        let token = claimed.at("/jobs/0/lease_token");
        let path = format!("/v1/jobs/{id}");
        let beat =
            json!({ "lease_token": token, "progress": { "current_task": "t", "overall_progress": 5 } });
        let beat = service.call("PATCH", &path).json(&beat).send();
        let failed = line(&name, "failed");
        let (reply, beat) = tokio::join!(send(&service, &failed), beat);
        assert_eq!((went_in(&reply), beat.status), ([0, 0, 0, 1], 200), "{} {}", reply.text, beat.text);
        assert_eq!(reply.at("/rejected/0/errors/0/field"), "status");
        // The worker's own end of the job comes before the line or after it. Either way, ingest rejects the line.
        let end = json!({ "lease_token": token, "status": "completed", "result": [1] });
        let end = service.call("PATCH", &path).json(&end).send();
        let (reply, end) = tokio::join!(send(&service, &failed), end);
        assert_eq!((went_in(&reply), end.status), ([0, 0, 0, 1], 200), "{} {}", reply.text, end.text);
        let found = job(&service, &id).await;
        assert_eq!((found.at("/status"), found.at("/result")), (&json!("completed"), &json!([1])));
    }
    service.settled().await;
    assert_eq!(total(&service, "status=completed").await, u64::try_from(ROUNDS).expect("few"));
}

#[tokio::test]
async fn a_cancel_and_a_line_both_count() {
    let service = Service::start().await;
    for round in 0..ROUNDS {
        let name = format!("n{round}");
        let id = queued(&service, &name).await;
        let line = line(&name, if round % 2 == 0 { "running" } else { "completed" });
        let cancel = service.call("POST", &format!("/v1/jobs/{id}/cancel")).send();
        let (reply, cancel) = tokio::join!(send(&service, &line), cancel);
        let found = job(&service, &id).await;
        let status = text(found.at("/status"));
        let is_late = went_in(&reply) == [0, 0, 1, 0];
        match (cancel.status, text(&line["status"]).as_str()) {
            // If the cancel came first, the line is about an earlier time.
            (200, "running") => assert_eq!(status, "cancelled"),
            (200, _) => assert_eq!(status, "completed", "the cancel was first"),
            // The job was completed before the cancel came.
            (409, "completed") => assert_eq!(status, "completed"),
            other => panic!("{other:?}: {}", cancel.text),
        }
        assert!(is_late || went_in(&reply) == [0, 1, 0, 0], "{}", reply.text);
        assert!(!is_late || status == "cancelled", "{}", reply.text);
        assert_eq!(found.at("/payload") == "of the line", !is_late);
    }
    service.settled().await;
    Samples::scrape(&service).await.balance();
}

#[tokio::test]
async fn a_job_ingested_while_it_is_deleted_is_whole_or_absent() {
    let service = Service::start().await;
    let mut left = 0;
    for round in 0..ROUNDS {
        let name = format!("n{round}");
        let mut old = completed(&name);
        old["payload"] = json!("as it was");
        assert_eq!(ingest(&service, &json!([old])).await, [1, 0, 0, 0]);
        let page = service.get(&format!("/v1/jobs?external_id={name}")).expect(200).await;
        let id = text(page.at("/jobs/0/job_id"));
        let line = line(&name, "completed");
        let delete = service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200);
        let (reply, _) = tokio::join!(send(&service, &line), delete);
        // The stream's function deletes the old job's parts. It must not delete those of the new job.
        service.settled().await;
        match went_in(&reply) {
            [1, 0, 0, 0] => {
                left += 1;
                assert_eq!(job(&service, &id).await.at("/payload"), "of the line");
                assert_eq!(stored_parts(&service, &id).await.len(), 2);
            }
            [0, 1, 0, 0] => {
                assert_eq!(service.get(&format!("/v1/jobs/{id}")).send().await.status, 404);
                assert_eq!(stored_parts(&service, &id).await.len(), 0);
            }
            other => panic!("{other:?}: {}", reply.text),
        }
    }
    assert_eq!(total(&service, "").await, left);
    Samples::scrape(&service).await.balance();
}
