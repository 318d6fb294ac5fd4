//! The fields of a job in a list.

use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// Fields that only a whole job has.
const NOT_IN_LISTS: [&str; 6] = ["payload", "metadata", "result", "timings", "attempts", "artifacts"];

#[tokio::test]
async fn a_summary_is_the_job_without_its_parts() {
    let service = Service::shared().await;
    let body = json!({
        "type": "a", "payload": 1, "metadata": {}, "priority": 3, "name": "x", "external_id": "q", "max_attempts": 2,
        "timeout_seconds": 5, "available_at": "2100-01-01T00:00:00Z", "labels": { "team": "t" },
    });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    service.post("/v1/jobs", &body).header("traceparent", trace).expect(201).await;
    let jobs = json!([
        { "external_id": "r", "type": "a", "status": "uploading", "started_at": "2026-01-01T00:00:00Z" },
        { "external_id": "c", "type": "a", "status": "completed", "started_at": "2026-01-01T00:00:00Z",
          "completed_at": "2026-01-01T00:00:01.5Z", "result": 1, "timings": { "a": 1 }, "cost_usd": 1.5 },
        { "external_id": "f", "type": "a", "status": "failed", "completed_at": "2026-01-01T00:00:00Z",
          "error": { "message": "m", "failed_task": "t" }, "ttl_hours": 5 },
        { "external_id": "x", "type": "a", "status": "cancelled", "completed_at": "2026-01-01T00:00:00Z" },
    ]);
    assert_eq!(ingest(&service, &jobs).await, [4, 0, 0, 0]);
    service.settled().await;
    // Each index has its own projection.
    for query in [
        "",
        "type=a",
        "status=queued,running,completed,failed,cancelled&type=a",
        "status=running",
        "status=failed",
        "type=a&status=completed",
        "type=a&status=queued",
        "limit=2&offset=1",
        "per_page=5",
    ] {
        let page = service.get(&format!("/v1/jobs?{query}")).expect(200).await;
        let summaries = page.at("/jobs").as_array().expect("jobs");
        assert!(!summaries.is_empty(), "{query}");
        for summary in summaries {
            let id = text(&summary["job_id"]);
            let mut whole = service.get(&format!("/v1/jobs/{id}")).expect(200).await.json;
            let fields = whole.as_object_mut().expect("a job");
            for name in NOT_IN_LISTS {
                fields.remove(name);
            }
            assert_eq!(summary, &whole, "{query}");
        }
    }
}

#[tokio::test]
async fn a_list_follows_every_change() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let check = async |query: &str, expect: &[&str]| {
        let page = service.get(&format!("/v1/jobs?{query}")).expect(200).await;
        let found: Vec<&Value> =
            page.at("/jobs").as_array().expect("jobs").iter().map(|job| &job["status"]).collect();
        assert_eq!(found, expect, "{query}");
        // A list that ends on its page knows its total without the counts.
        assert_eq!(page.at("/total"), expect.len(), "{query}");
    };
    for query in ["", "type=a", "status=queued", "type=a&status=queued"] {
        check(query, &["queued"]).await;
    }
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    for query in ["", "type=a", "status=cancelled", "type=a&status=cancelled"] {
        check(query, &["cancelled"]).await;
    }
    check("status=queued", &[]).await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    for query in ["", "type=a", "status=cancelled", "type=a&status=cancelled"] {
        check(query, &[]).await;
    }
}
