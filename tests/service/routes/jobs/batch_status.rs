//! `POST /v1/jobs/batch-status`. `capacity/jobs.rs` tests its cost.

use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

const PATH: &str = "/v1/jobs/batch-status";

/// An id that no job has.
fn nobodys(number: usize) -> String {
    format!("01981b5e-7c3a-7000-8000-{number:012}")
}

async fn ask(service: &Service, ids: &[String]) -> Reply {
    service.post(PATH, &json!({ "job_ids": ids })).expect(200).await
}

/// The ids of the jobs in the answer, in order.
fn answered(reply: &Reply) -> Vec<String> {
    reply.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])).collect()
}

#[tokio::test]
async fn jobs_are_returned_in_the_order_of_the_ids() {
    let service = Service::shared().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(create(&service, &json!({ "type": "a", "name": number.to_string(), "payload": 1 })).await);
    }
    service.call("POST", &format!("/v1/jobs/{}/cancel", ids[1])).expect(200).await;
    // A new job is found immediately.
    let asked = [3, 0, 4, 1, 2].map(|place| ids[place].clone());
    let reply = ask(&service, &asked).await;
    assert_eq!(answered(&reply), asked);
    assert_eq!(reply.at("/not_found"), &json!([]));
    assert_eq!(reply.json.as_object().expect("an object").len(), 2);
    // Each job has the same fields as in lists.
    let list = service.get("/v1/jobs").expect(200).await;
    for job in reply.at("/jobs").as_array().expect("jobs") {
        let same = |summary: &&Value| summary["job_id"] == job["job_id"];
        assert_eq!(list.at("/jobs").as_array().expect("jobs").iter().find(same), Some(job));
    }
    assert_eq!(reply.at("/jobs/3/status"), "cancelled");
}

#[tokio::test]
async fn missing_jobs_are_listed_and_each_id_is_answered_once() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let gone = create(&service, &json!({ "type": "a" })).await;
    service.call("DELETE", &format!("/v1/jobs/{gone}")).expect(200).await;
    let asked = [nobodys(2), id.clone(), nobodys(1), id.to_uppercase(), gone.clone(), nobodys(2), id.clone()];
    let reply = ask(&service, &asked).await;
    assert_eq!(answered(&reply), [id]);
    assert_eq!(reply.at("/not_found"), &json!([nobodys(2), nobodys(1), gone]));
    let reply = ask(&service, &[nobodys(1)]).await;
    assert_eq!(reply.json, json!({ "jobs": [], "not_found": [nobodys(1)] }));
}

#[tokio::test]
async fn a_running_job_shows_its_progress() {
    let service = Service::shared().await;
    let job = |status: &str| {
        let mut job = json!({
            "external_id": status, "type": "a", "status": status, "created_at": "2026-01-01T00:00:00Z",
            "progress": { "current_task": "encode", "current_task_progress": 12.5, "overall_progress": 33.333 },
        });
        if status != "queued" {
            job["started_at"] = json!("2026-01-01T00:00:01Z");
        }
        if ["completed", "failed"].contains(&status) {
            job["completed_at"] = json!("2026-01-01T00:00:02Z");
        }
        if status == "failed" {
            job["error"] = json!("why");
        }
        job
    };
    let statuses = ["queued", "running", "completed", "failed"];
    assert_eq!(ingest(&service, &json!(statuses.map(job))).await, [4, 0, 0, 0]);
    let list = service.get("/v1/jobs").expect(200).await;
    let ids: Vec<String> =
        list.at("/jobs").as_array().expect("jobs").iter().map(|job| text(&job["job_id"])).collect();
    let reply = ask(&service, &ids).await;
    let mut jobs = reply.at("/jobs").as_array().expect("jobs").clone();
    for job in &mut jobs {
        // `eta_seconds` follows from the progress in the time so far.
        let eta = job["progress"]["eta_seconds"].take();
        assert_eq!(eta.is_u64(), job["status"] == "running", "{job}");
        let (task, current, overall) = match text(&job["status"]).as_str() {
            "queued" => (json!(null), json!(null), json!(0)),
            "completed" => (json!(null), json!(null), json!(100)),
            _ => (json!("encode"), json!(12.5), json!(33.33)),
        };
        let expect = json!({
            "current_task": task, "current_task_progress": current, "overall_progress": overall, "eta_seconds": null,
        });
        assert_eq!(job["progress"], expect, "{}", job["status"]);
    }
}

#[tokio::test]
async fn a_hundred_ids_are_the_most() {
    let service = Service::shared().await;
    let mut ids: Vec<String> = (0..99).map(nobodys).collect();
    ids.insert(50, create(&service, &json!({ "type": "a" })).await);
    let reply = ask(&service, &ids).await;
    assert_eq!(
        (answered(&reply), reply.at("/not_found").as_array().map(Vec::len)),
        (vec![ids[50].clone()], Some(99))
    );
    // A repeated id counts as an id, too.
    ids.push(ids[0].clone());
    let reply = service.post(PATH, &json!({ "job_ids": ids })).send().await;
    refuses(&reply, 400, "invalid_body", &["job_ids"]);
    assert!(reply.text.contains("1 to 100"), "{}", reply.text);
}

#[tokio::test]
async fn another_owners_job_is_not_found() {
    let service = Service::start().await;
    add_key(&service, "others", "other", &["read"], None).await;
    let mine = create(&service, &json!({ "type": "a", "name": "secret" })).await;
    let theirs = service.post("/v1/jobs?owner=other", &json!({ "type": "a" })).expect(201).await;
    let theirs = text(theirs.at("/job_id"));
    let body = json!({ "job_ids": [mine, theirs, nobodys(1)] });
    let reply = service.anonymous("POST", PATH).header("x-api-key", "others").json(&body).expect(200).await;
    assert_eq!(
        (answered(&reply), reply.at("/not_found")),
        (vec![theirs.clone()], &json!([mine, nobodys(1)]))
    );
    assert!(!reply.text.contains("secret") && !reply.text.contains("default"), "{}", reply.text);
    // An admin acts for one owner at a time, and sees that owner's jobs.
    let reply = service.post(PATH, &body).expect(200).await;
    assert_eq!(
        (answered(&reply), reply.at("/not_found")),
        (vec![mine.clone()], &json!([theirs, nobodys(1)]))
    );
    let reply = service.post(&format!("{PATH}?owner=other"), &body).expect(200).await;
    assert_eq!((answered(&reply), reply.at("/not_found")), (vec![theirs], &json!([mine, nobodys(1)])));
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused() {
    let service = Service::start().await;
    add_key(&service, "writer", "default", &["write", "work"], None).await;
    let call = service.anonymous("POST", PATH).header("x-api-key", "writer");
    is_problem(&call.json(&json!({ "job_ids": [nobodys(1)] })).send().await, 403, "missing_scope");
    let reply = service.anonymous("POST", PATH).json(&json!({ "job_ids": [nobodys(1)] })).send().await;
    is_problem(&reply, 401, "unauthenticated");
}

#[tokio::test]
async fn every_wrong_id_is_named_by_its_place() {
    let service = Service::shared().await;
    let good = nobodys(1);
    let compact = good.replace('-', "");
    let ids =
        json!([good, "1", good, 7, null, compact, [good], format!("{{{good}}}"), format!("{good} "), ""]);
    let wrong = [1, 3, 4, 5, 6, 7, 8, 9].map(|place| format!("job_ids[{place}]"));
    let reply = service.post(PATH, &json!({ "job_ids": ids })).send().await;
    refuses(&reply, 400, "invalid_body", &wrong.each_ref().map(String::as_str));
    let reply = service.post(PATH, &json!({ "job_ids": [good, good, good, "x"], "colour": 1 })).send().await;
    refuses(&reply, 400, "invalid_body", &["job_ids[3]", "colour"]);
    assert!(reply.text.contains("must be a UUID"), "{}", reply.text);
}

#[tokio::test]
async fn a_body_that_is_no_list_of_ids_is_refused() {
    let service = Service::start().await;
    let id = nobodys(1);
    for bad in [
        json!({}),
        json!({ "job_ids": null }),
        json!({ "job_ids": [] }),
        json!({ "job_ids": id }),
        json!({ "job_ids": { "0": id } }),
        json!({ "job_ids": 1 }),
    ] {
        refuses(&service.post(PATH, &bad).send().await, 400, "invalid_body", &["job_ids"]);
    }
    let both = json!({ "job_ids": [], "ids": [id], "owner": "other" });
    refuses(&service.post(PATH, &both).send().await, 400, "invalid_body", &["job_ids", "ids", "owner"]);
    let twice = format!(r#"{{"job_ids":["{id}"],"job_ids":["{id}"]}}"#);
    let reply = service.call("POST", PATH).body(twice).send().await;
    refuses(&reply, 400, "invalid_body", &["job_ids"]);
    for bad in ["", "{", "[]", "null", "{\"job_ids\":[}", "\u{feff}[]"] {
        is_problem(&service.call("POST", PATH).body(bad).send().await, 400, "invalid_json");
    }
}

#[tokio::test]
async fn the_query_is_empty_and_the_body_not_too_long() {
    let service = Service::shared().await;
    let body = json!({ "job_ids": ["x"] });
    let reply = service.post(&format!("{PATH}?limit=1&wait=1"), &body).send().await;
    refuses(&reply, 422, "invalid_query", &["limit", "wait"]);
    let spaced = |bytes: usize| {
        let body = json!({ "job_ids": [nobodys(1)] }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    service.call("POST", PATH).body(spaced(16 * 1024)).expect(200).await;
    is_problem(&service.call("POST", PATH).body(spaced(16 * 1024 + 1)).send().await, 413, "too_large");
}

/// The path has its own route: `batch-status` is not a job's id.
#[tokio::test]
async fn only_its_method_leads_there() {
    let service = Service::shared().await;
    is_problem(&service.get(PATH).send().await, 405, "method_not_allowed");
    is_problem(&service.call("DELETE", PATH).send().await, 405, "method_not_allowed");
    is_problem(&service.call("PUT", PATH).send().await, 405, "method_not_allowed");
}
