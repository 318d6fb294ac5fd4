//! Filters that are not counted, in lists, counts, exports and bulk actions alike.

use jobledger_tests::claims::{claim, create_and_claim};
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::lists::refuses_query;
use jobledger_tests::problems::refuses;
use jobledger_tests::stored::spoil_head;
use jobledger_tests::{Service, text};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// A query of these filters.
fn query(filters: &[(&str, &str)]) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = filters.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The list, the count, the export and the dry run of a bulk action find these jobs.
async fn check(service: &Service, filters: &[(&str, &str)], expect: &[&str]) {
    service.settled().await;
    let query = query(filters);
    let ids = |jobs: &Value| -> Vec<String> {
        let mut ids: Vec<String> =
            jobs.as_array().expect("jobs").iter().map(|job| text(&job["job_id"])).collect();
        ids.sort();
        ids
    };
    let mut expect: Vec<String> = expect.iter().map(|id| (*id).to_owned()).collect();
    expect.sort();
    let list = service.get(&format!("/v1/jobs?{query}")).expect(200).await;
    assert_eq!(ids(list.at("/jobs")), expect, "{filters:?}");
    assert_eq!(
        (list.at("/total"), list.at("/total_kind")),
        (&json!(expect.len()), &json!("exact")),
        "{filters:?}"
    );
    let count = service.get(&format!("/v1/jobs/count?{query}")).expect(200).await;
    assert_eq!(count.at("/total"), expect.len(), "{filters:?}: {}", count.text);
    let file = service.get(&format!("/v1/jobs/export?format=json&{query}")).expect(200).await;
    assert_eq!(ids(&file.json), expect, "{filters:?}");
    let filter: Value = filters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let body = json!({ "action": "delete", "filter": filter, "dry_run": true });
    // A bulk action finds jobs that were created before it.
    let matched = service.eventually("a later time", || async {
        let reply = service.post("/v1/jobs/bulk", &body).expect(200).await;
        (reply.at("/matched") == &json!(expect.len())).then_some(())
    });
    matched.await;
}

#[tokio::test]
async fn a_search_knows_no_case_in_any_script() {
    let service = Service::shared().await;
    let mut ids = Vec::new();
    for name in ["ΠΕΛΑΤΗΣ.csv", "Πελατης 2026", "Hauptstraße 5", "5 µm", "Équipe"] {
        ids.push(create(&service, &json!({ "type": "a", "name": name })).await);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for search in ["ΠΕΛΑΤΗΣ", "πελατης", "πελατησ", "Σ", "ς"] {
        check(&service, &[("search", search)], &ids[..2]).await;
    }
    for search in ["HAUPTSTRASSE", "straße", "STRAẞE 5"] {
        check(&service, &[("search", search)], &ids[2..3]).await;
    }
    check(&service, &[("search", "\u{3bc}M")], &ids[3..4]).await;
    check(&service, &[("search", "E\u{301}QUIPE"), ("type", "a")], &ids[4..]).await;
    check(&service, &[("search", "equipe")], &[]).await;
    // A job that its id leads to is found once, also if its name is found.
    service.post("/v1/jobs", &json!({ "type": "b", "name": "n-ß", "external_id": "SS" })).expect(201).await;
    let list = service.get("/v1/jobs?search=SS&type=b").expect(200).await;
    assert_eq!((list.at("/total"), list.at("/has_more")), (&json!(1), &json!(false)), "{}", list.text);
}

/// Version 0.1.0 lower-cased names, and stored the result only if it was another text.
#[tokio::test]
async fn names_that_an_older_version_stored_are_found() {
    let service = Service::shared().await;
    let mut ids = Vec::new();
    for (name, folded) in [
        ("ΠΕΛΑΤΗΣ.csv", "πελατησ.csv"),
        ("ΠΕΛΑΤΗΣ 2026", "πελατης 2026"),
        ("Hauptstraße 5", "hauptstraße 5"),
        ("5 µM", "5 µm"),
    ] {
        let id = create(&service, &json!({ "type": "a", "name": name })).await;
        spoil_head(&service, &id, &json!({ "folded": { "S": folded } })).await;
        ids.push(id);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for search in ["ΠΕΛΑΤΗΣ", "πελατης", "πελατησ", "ΑΤΗΣ"] {
        check(&service, &[("search", search)], &ids[..2]).await;
    }
    for search in ["HAUPTSTRASSE", "straße", "Strasse 5"] {
        check(&service, &[("search", search)], &ids[2..3]).await;
    }
    for search in ["5 µm", "\u{39c}M", "\u{3bc}m"] {
        check(&service, &[("search", search)], &ids[3..]).await;
    }
}

#[tokio::test]
async fn a_list_filters_by_any_labels() {
    let service = Service::shared().await;
    let mut ids = Vec::new();
    for labels in [
        json!({ "env": "prod", "team": "red", "region": "eu" }),
        json!({ "env": "prod", "team": "blue" }),
        json!({ "env": "test", "team": "red", "region": "eu" }),
        json!({}),
    ] {
        ids.push(create(&service, &json!({ "type": "a", "labels": labels })).await);
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    check(&service, &[("label.env", "prod")], &ids[..2]).await;
    check(&service, &[("label.env", "prod"), ("label.region", "eu")], &ids[..1]).await;
    check(&service, &[("label.env", "prod"), ("team", "blue")], &ids[1..2]).await;
    check(&service, &[("label.team", "red")], &[ids[0], ids[2]]).await;
    check(&service, &[("label.team", "red"), ("status", "running")], &[]).await;
    check(&service, &[("label.zone", "eu")], &[]).await;
    refuses_query(&service, "label.Env=x", &["label.Env"]).await;
    refuses_query(&service, "label.=x", &["label."]).await;
    refuses_query(&service, "label.env=", &["label.env"]).await;
    refuses_query(&service, "label.env=a&label.env=b", &["label.env"]).await;
    refuses_query(&service, "team=a&label.team=b", &["label.team"]).await;
    refuses_query(&service, "labels.env=a", &["labels.env"]).await;
    let many: Vec<String> = (0..17).map(|number| format!("label.a{number}=x")).collect();
    refuses_query(&service, &many.join("&"), &["label"]).await;
}

#[tokio::test]
async fn a_list_filters_by_end_change_and_error_code() {
    let service = Service::shared().await;
    let job = |number: usize, status: &str, completed_at: &str, error: Value| {
        let mut job = json!({
            "external_id": format!("n{number}"), "type": "a", "status": status,
            "created_at": "2026-03-01T00:00:00Z", "completed_at": completed_at,
        });
        if !error.is_null() {
            job["error"] = error;
        }
        job
    };
    let jobs = json!([
        job(0, "completed", "2026-03-02T10:00:00Z", Value::Null),
        job(1, "failed", "2026-03-02T11:00:00Z", json!({ "message": "m", "code": "out_of_memory" })),
        job(2, "failed", "2026-03-03T00:00:00Z", json!({ "message": "m", "code": "no_input" })),
        job(3, "failed", "2026-03-04T00:00:00Z", json!("no code")),
        { "external_id": "n4", "type": "a", "status": "queued", "created_at": "2026-03-01T00:00:00Z" },
    ]);
    assert_eq!(ingest(&service, &jobs).await, [5, 0, 0, 0]);
    let mut ids = Vec::new();
    for number in 0..5 {
        let found = service.get(&format!("/v1/jobs?external_id=n{number}")).expect(200).await;
        ids.push(text(found.at("/jobs/0/job_id")));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    check(&service, &[("completed_after", "2026-03-02T11:00:00Z")], &ids[1..4]).await;
    check(&service, &[("completed_before", "2026-03-02")], &ids[..2]).await;
    check(&service, &[("completed_after", "2026-03-03"), ("completed_before", "2026-03-03")], &ids[2..3])
        .await;
    check(&service, &[("completed_after", "2026-03-02"), ("status", "completed")], &ids[..1]).await;
    check(&service, &[("error_code", "out_of_memory")], &ids[1..2]).await;
    check(&service, &[("error_code", "out_of_memory"), ("completed_after", "2026-03-03")], &[]).await;
    check(&service, &[("updated_after", "2026-03-01")], &ids).await;
    check(&service, &[("updated_before", "2026-03-31")], &[]).await;
    refuses_query(&service, "completed_after=2026-03-02&completed_before=2026-03-01", &["completed_before"])
        .await;
    refuses_query(&service, "updated_after=soon", &["updated_after"]).await;
    refuses_query(&service, "error_code=", &["error_code"]).await;
}

#[tokio::test]
async fn queued_jobs_are_found_by_the_way_they_wait() {
    let service = Service::shared().await;
    let later = "2100-01-01T00:00:00Z";
    let due = create(&service, &json!({ "type": "due" })).await;
    let scheduled = create(&service, &json!({ "type": "later", "available_at": later })).await;
    let settings = json!({ "backoff_seconds": 3600 });
    service.call("PUT", "/v1/types/fails").json(&settings).expect(200).await;
    let held = create_and_claim(&service, &json!({ "type": "fails", "max_attempts": 2 })).await;
    held.tell(&service, &json!({ "status": "failed", "error": { "message": "m", "code": "no_input" } }))
        .await;
    let retrying = held.id.as_str();
    let running = create_and_claim(&service, &json!({ "type": "runs" })).await;
    let (due, scheduled, running) = (due.as_str(), scheduled.as_str(), running.id.as_str());
    check(&service, &[("status", "due")], &[due]).await;
    check(&service, &[("status", "Available")], &[due]).await;
    check(&service, &[("status", "scheduled")], &[scheduled]).await;
    check(&service, &[("status", "retryable")], &[retrying]).await;
    check(&service, &[("status", "retrying,running")], &[retrying, running]).await;
    check(&service, &[("status", "delayed")], &[retrying, scheduled]).await;
    check(&service, &[("status", "due,scheduled,retrying")], &[due, scheduled, retrying]).await;
    check(&service, &[("status", "queued,retrying")], &[due, scheduled, retrying]).await;
    check(&service, &[("status", "scheduled"), ("type", "due,later")], &[scheduled]).await;
    // The last error of a job that waits for another attempt is in lists and exports.
    let list = service.get("/v1/jobs?status=retrying").expect(200).await;
    let error = json!({ "message": "m", "failed_task": null, "code": "no_input" });
    assert_eq!(list.at("/jobs/0/last_error"), &error);
    for (word, instead) in [("prioritized", "due"), ("transcoding", "running"), ("uploading", "running")] {
        let reply = service.get(&format!("/v1/jobs?status={word}")).send().await;
        refuses(&reply, 422, "invalid_query", &["status"]);
        assert!(reply.text.contains(instead), "{}", reply.text);
        let body = json!({ "action": "cancel", "filter": { "status": word } });
        refuses(&service.post("/v1/jobs/bulk", &body).send().await, 400, "invalid_body", &["filter.status"]);
    }
    // A bulk action changes only these.
    let body = json!({ "action": "cancel", "filter": { "status": "scheduled" } });
    service.post("/v1/jobs/bulk", &body).expect(202).await;
    service.settled().await;
    check(&service, &[("status", "cancelled")], &[scheduled]).await;
    check(&service, &[("status", "queued")], &[due, retrying]).await;
}

#[tokio::test]
async fn a_list_shows_workers_and_filters_by_them() {
    let service = Service::shared().await;
    let mut held = Vec::new();
    for worker in ["w-1", "w-2"] {
        for _ in 0..3 {
            create(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
        }
        held.extend(claim(&service, &json!({ "worker_id": worker, "types": ["a"], "max": 3 })).await);
    }
    create(&service, &json!({ "type": "a" })).await;
    let ids: Vec<&str> = held.iter().map(|held| held.id.as_str()).collect();
    check(&service, &[("worker_id", "w-1")], &ids[..3]).await;
    check(&service, &[("worker_id", "w-2"), ("status", "running,failed")], &ids[3..]).await;
    check(&service, &[("worker_id", "w-2"), ("type", "b")], &[]).await;
    check(&service, &[("worker_id", "w-3")], &[]).await;
    let first = service.get("/v1/jobs?worker_id=w-1&limit=2").expect(200).await;
    assert_eq!((first.at("/total"), first.at("/has_more")), (&json!(3), &json!(true)));
    let cursor = text(first.at("/next_cursor"));
    let second = service.get(&format!("/v1/jobs?worker_id=w-1&limit=2&cursor={cursor}")).expect(200).await;
    assert_eq!((second.at("/jobs").as_array().map(Vec::len), second.at("/total")), (Some(1), &json!(3)));
    let list = service.get("/v1/jobs?status=running").expect(200).await;
    for job in list.at("/jobs").as_array().expect("jobs") {
        let whole = service.get(&format!("/v1/jobs/{}", text(&job["job_id"]))).expect(200).await;
        let of_whole = (whole.at("/worker_id"), whole.at("/lease_expires_at"));
        assert_eq!((&job["worker_id"], &job["lease_expires_at"]), of_whole);
        assert!(job["lease_expires_at"].is_string() && job.get("last_error").is_none(), "{job}");
    }
    // A job that is held no more is found no more. Its next attempt shows the error of the last.
    held[0].tell(&service, &json!({ "status": "completed" })).await;
    held[1].tell(&service, &json!({ "status": "failed", "error": "m" })).await;
    check(&service, &[("worker_id", "w-1")], &ids[2..3]).await;
    refuses_query(&service, "worker_id=w-1&status=failed", &["status"]).await;
    refuses_query(&service, "worker_id=a%20b", &["worker_id"]).await;
    let body = json!({ "action": "cancel", "filter": { "worker_id": "w-2" } });
    service.post("/v1/jobs/bulk", &body).expect(202).await;
    service.settled().await;
    check(&service, &[("status", "cancelled")], &ids[3..]).await;
}
