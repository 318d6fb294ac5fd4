//! `POST /v1/admin/ingest/jobs`.

mod bodies;
mod changes;
mod hostile;
mod mock;
mod order;
mod progress;
mod races;
mod refusals;
mod spelling;
mod times;

use jobledger_tests::jobs::{ingest, total};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// A completed job with this id.
pub(crate) fn completed(external_id: &str) -> Value {
    json!({
        "external_id": external_id, "type": "a", "status": "completed", "created_at": "2026-01-01T00:00:00Z",
        "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z",
    })
}

/// The only job of a list.
pub(crate) async fn only_job(service: &Service, query: &str) -> Value {
    let page = service.get(&format!("/v1/jobs?{query}")).expect(200).await;
    assert_eq!(page.at("/total"), 1, "{}", page.text);
    service.get(&format!("/v1/jobs/{}", text(page.at("/jobs/0/job_id")))).expect(200).await.json
}

#[tokio::test]
async fn older_names_of_statuses_are_accepted() {
    let service = Service::shared().await;
    for (word, status, phase) in [
        ("queued", "queued", None),
        ("pending", "queued", None),
        ("running", "running", None),
        ("processing", "running", Some("processing")),
        ("transcoding", "running", Some("transcoding")),
        ("uploading", "running", Some("uploading")),
        ("completed", "completed", None),
        ("failed", "failed", None),
        ("cancelled", "cancelled", None),
        ("canceled", "cancelled", None),
    ] {
        let mut job = json!({ "external_id": word, "tool": word, "params": [word], "status": word });
        match status {
            "running" => job["started_at"] = json!("2026-01-01T00:00:00Z"),
            "queued" => {}
            _ => job["completed_at"] = json!("2026-01-01T00:00:00Z"),
        }
        if status == "failed" {
            job["error"] = json!("why");
        }
        assert_eq!(ingest(&service, &json!([job])).await, [1, 0, 0, 0], "{word}");
        let stored = only_job(&service, &format!("type={word}")).await;
        assert_eq!((&stored["status"], &stored["phase"]), (&json!(status), &json!(phase)), "{word}");
        assert_eq!((&stored["type"], &stored["payload"]), (&json!(word), &json!([word])));
    }
}

#[tokio::test]
async fn absent_fields_have_defaults() {
    let service = Service::shared().await;
    let check = async |job: Value, expect: &[(&str, Value)]| {
        let id = text(&job["external_id"]);
        assert_eq!(ingest(&service, &json!([job])).await, [1, 0, 0, 0]);
        let stored = only_job(&service, &format!("type={id}")).await;
        for (name, value) in expect {
            assert_eq!(&stored[*name], value, "{id} {name}");
        }
    };
    let first = json!({
        "external_id": "1", "type": "1", "status": "completed", "completed_at": "2026-01-01T00:00:05Z",
        "started_at": "2026-01-01T00:00:03Z",
    });
    // The earliest known time; one attempt; no expiry.
    check(
        first,
        &[
            ("created_at", json!("2026-01-01T00:00:03.000Z")),
            ("attempt", json!(1)),
            ("max_attempts", json!(1)),
            ("expires_at", json!(null)),
            ("priority", json!(0)),
            ("labels", json!({})),
            ("duration_ms", json!(2_000)),
        ],
    )
    .await;
    let second = json!({
        "external_id": "2", "type": "2", "status": "cancelled", "completed_at": "2026-01-01T00:00:05Z",
    });
    check(
        second,
        &[
            ("created_at", json!("2026-01-01T00:00:05.000Z")),
            ("attempt", json!(0)),
            ("started_at", json!(null)),
            ("duration_ms", json!(null)),
        ],
    )
    .await;
    let third =
        json!({ "external_id": "3", "type": "3", "status": "queued", "created_at": "2026-01-01T00:00:05Z" });
    check(third, &[("available_at", json!("2026-01-01T00:00:05.000Z"))]).await;
    let fourth = json!({
        "external_id": "4", "type": "4", "status": "failed", "completed_at": "2026-01-01T00:00:05Z", "error": "e",
    });
    check(fourth, &[("error", json!({ "message": "e", "failed_task": null, "retry_count": 0 }))]).await;
}

#[tokio::test]
async fn jobs_belong_to_the_owner_that_the_admin_acts_for() {
    let service = Service::start().await;
    let reply = service.post("/v1/admin/ingest/jobs?owner=other", &json!([completed("1")])).expect(200).await;
    assert_eq!(reply.at("/created"), 1);
    assert_eq!(ingest(&service, &json!([completed("1")])).await, [1, 0, 0, 0]);
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
    assert_eq!(total(&service, "owner=other").await, 1);
}

#[tokio::test]
async fn a_job_that_was_created_here_is_found_by_its_external_id() {
    let service = Service::shared().await;
    let id =
        jobledger_tests::jobs::create(&service, &json!({ "type": "a", "external_id": "1", "payload": "p" }))
            .await;
    let job =
        json!({ "external_id": "1", "type": "a", "status": "running", "started_at": "2100-01-01T00:00:00Z" });
    assert_eq!(ingest(&service, &json!([job])).await, [0, 0, 0, 1], "that time has not come");
    let created_at = text(&service.get(&format!("/v1/jobs/{id}")).expect(200).await.json["created_at"]);
    let job = json!({ "external_id": "1", "type": "a", "status": "running", "started_at": created_at });
    assert_eq!(ingest(&service, &json!([job])).await, [0, 1, 0, 0]);
    let stored = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!((stored.at("/status"), stored.at("/created_at")), (&json!("running"), &json!(created_at)));
    // Each line has all fields of the job. A field that the line lacks is removed.
    assert_eq!(stored.at("/payload"), &json!(null));
}
