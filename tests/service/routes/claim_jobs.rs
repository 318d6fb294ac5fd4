//! `POST /v1/jobs/claim`.

use jobledger_tests::Service;
use serde_json::{Value, json};

/// Claims as worker `w`.
async fn claim(service: &Service, body: Value) -> Vec<Value> {
    let reply = service.post("/v1/jobs/claim", &body).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json["jobs"].as_array().expect("jobs").clone()
}

#[tokio::test]
async fn a_job_is_claimed_once_reported_on_and_completed() {
    let service = Service::start().await;
    let job = json!({"type": "scrape", "payload": {"url": "x"}, "name": "one"});
    let created = service.post("/v1/jobs", &job).send().await;
    assert_eq!(created.status, 201, "{}", created.text);
    let claimed = claim(&service, json!({"worker_id": "w", "types": ["scrape"]})).await;
    assert_eq!(claimed.len(), 1);
    assert!(claim(&service, json!({"worker_id": "w", "types": ["scrape"]})).await.is_empty());
    let (id, token) = (claimed[0]["job_id"].as_str().expect("an id"), claimed[0]["lease_token"].clone());
    assert_eq!((&claimed[0]["payload"], &claimed[0]["attempt"]), (&json!({"url": "x"}), &json!(1)));
    let path = format!("/v1/jobs/{id}");
    let report = json!({"lease_token": token, "progress": {"current_task": "a", "overall_progress": 40}});
    let reply = service.call("PATCH", &path).json(&report).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json["progress"]["overall_progress"], 40);
    let end = json!({"lease_token": token, "status": "completed", "result": {"ok": true}});
    for _ in 0..2 {
        let reply = service.call("PATCH", &path).json(&end).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json["status"], "completed");
    }
    let whole = service.get(&path).send().await;
    assert_eq!(whole.json["result"], json!({"ok": true}), "{}", whole.text);
    assert_eq!(whole.json["attempts"][0]["worker"], "w");
}

#[tokio::test]
async fn a_failed_try_waits_and_comes_again() {
    let service = Service::start().await;
    let settings = json!({"max_attempts": 3, "backoff_seconds": 0, "max_concurrency": 1});
    let reply = service.call("PUT", "/v1/types/scrape").json(&settings).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for _ in 0..2 {
        let created = service.post("/v1/jobs", &json!({"type": "scrape", "max_attempts": 2})).send().await;
        assert_eq!(created.status, 201, "{}", created.text);
    }
    let claimed = claim(&service, json!({"worker_id": "w", "types": ["scrape"], "max": 10})).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    let (id, token) = (claimed[0]["job_id"].as_str().expect("an id"), claimed[0]["lease_token"].clone());
    let path = format!("/v1/jobs/{id}");
    let report = json!({"lease_token": token, "status": "failed", "error": {"message": "no", "code": "e1"}});
    let reply = service.call("PATCH", &path).json(&report).send().await;
    assert_eq!((reply.status, &reply.json["status"]), (200, &json!("queued")), "{}", reply.text);
    let again = claim(&service, json!({"worker_id": "w", "types": ["scrape"], "max": 10})).await;
    assert_eq!(again.len(), 1);
}
