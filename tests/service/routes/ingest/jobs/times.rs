//! Times of a line: their form, their order, and the clock.

use jobledger::lambda::system_clock;
use jobledger_tests::jobs::{ingest, went_in};
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::{completed, only_job};

async fn send(service: &Service, job: &Value) -> Reply {
    service.post("/v1/admin/ingest/jobs", &json!([job])).expect(200).await
}

/// The errors of the only line, as field and message.
fn errors(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(went_in(reply), [0, 0, 0, 1], "{}", reply.text);
    let errors = reply.at("/rejected/0/errors").as_array().expect("errors");
    errors.iter().map(|error| (text(&error["field"]), text(&error["message"]))).collect()
}

#[tokio::test]
async fn a_time_is_one_point_in_whatever_form() {
    let service = Service::shared().await;
    for (number, (said, kept)) in [
        ("2026-01-11T05:00:00Z", "2026-01-11T05:00:00.000Z"),
        ("2026-01-11t05:00:00z", "2026-01-11T05:00:00.000Z"),
        ("2026-01-11 05:00:00Z", "2026-01-11T05:00:00.000Z"),
        ("2026-01-11T05:00:00+05:45", "2026-01-10T23:15:00.000Z"),
        ("2026-01-11T05:00:00-00:00", "2026-01-11T05:00:00.000Z"),
        ("2026-01-11T05:00:00.0009999Z", "2026-01-11T05:00:00.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let job = json!({ "external_id": format!("n{number}"), "type": format!("t{number}"), "status": "queued", "created_at": said });
        assert_eq!(ingest(&service, &json!([job])).await, [1, 0, 0, 0], "{said}");
        assert_eq!(only_job(&service, &format!("type=t{number}")).await["created_at"], kept, "{said}");
    }
}

#[tokio::test]
async fn an_invalid_time_is_refused_with_the_reason() {
    let service = Service::shared().await;
    for (said, remedy) in [
        // Without its offset, ingest could only guess the time, and be wrong by hours.
        (json!("2026-01-01T00:00:00"), "must say its offset from UTC"),
        (json!("2026-01-01 00:00:00.5"), "must say its offset from UTC"),
        (json!("2026-01-01"), "must be a time of that day"),
        (json!("2026-02-30T00:00:00Z"), "must be an RFC 3339 time"),
        (json!("2026-01-01T24:00:00Z"), "must be an RFC 3339 time"),
        (json!("2026-01-01T00:00:00+0545"), "must be an RFC 3339 time"),
        (json!("10000-01-01T00:00:00Z"), "must be an RFC 3339 time"),
        (json!("0000-01-01T00:00:00Z"), "must be an RFC 3339 time"),
        (json!("2026-01-01T12:00:60Z"), "second 60"),
        (json!("1767225600"), "write a time such as 2026-01-01T00:00:00.000Z"),
        (json!(1_767_225_600), "no number"),
        (json!(1_767_225_600.5), "no number"),
        (json!(-1), "no number"),
        (json!(true), "must be a string"),
        (json!({}), "must be a string"),
    ] {
        for field in ["created_at", "started_at", "completed_at"] {
            let mut job = completed("1");
            job[field] = said.clone();
            let errors = errors(&send(&service, &job).await);
            let [(wrong, message)] = &errors[..] else { panic!("{said}: {errors:?}") };
            assert!(wrong == field && message.contains(remedy), "{said}: {errors:?}");
        }
    }
}

#[tokio::test]
async fn order_and_clock_are_checked_for_all_times_at_once() {
    let service = Service::shared().await;
    let ahead = |minutes: i64| system_clock().plus_millis(minutes * 60_000).to_string();
    // The source's clock is slightly ahead.
    let mut job = completed("1");
    for name in ["created_at", "started_at", "completed_at"] {
        job[name] = json!(ahead(3));
    }
    assert_eq!(went_in(&send(&service, &job).await), [1, 0, 0, 0]);
    let mut job = completed("2");
    job["created_at"] = json!(ahead(20));
    job["started_at"] = json!(ahead(15));
    job["completed_at"] = json!(ahead(10));
    let named: Vec<String> =
        errors(&send(&service, &job).await).into_iter().map(|(field, _)| field).collect();
    assert_eq!(named, ["created_at", "started_at", "started_at", "completed_at", "completed_at"]);
    // Ingest checks the times even if status, type and id are invalid.
    job["status"] = json!("gone");
    job["type"] = json!("a b");
    job["external_id"] = Value::Null;
    job["available_at"] = json!(ahead(1));
    let mut named: Vec<String> =
        errors(&send(&service, &job).await).into_iter().map(|(field, _)| field).collect();
    named.dedup();
    assert_eq!(
        named,
        ["external_id", "type", "status", "created_at", "started_at", "completed_at", "available_at"]
    );
    let mut queued =
        json!({ "external_id": "3", "type": "a", "status": "queued", "created_at": "2026-01-02T00:00:00Z" });
    queued["available_at"] = json!("2026-01-01T00:00:00Z");
    let errors = errors(&send(&service, &queued).await);
    assert_eq!(errors, [("available_at".to_owned(), "must not be before created_at".to_owned())]);
    queued["available_at"] = json!("2100-01-01T00:00:00Z");
    assert_eq!(went_in(&send(&service, &queued).await), [1, 0, 0, 0], "it may be due in the future");
}

#[tokio::test]
async fn available_at_must_not_be_before_created_at() {
    let service = Service::shared().await;
    let job = json!({ "external_id": "1", "type": "a", "status": "queued", "available_at": "2020-01-01T00:00:00Z" });
    assert_eq!(went_in(&send(&service, &job).await), [1, 0, 0, 0]);
    let stored = only_job(&service, "type=a").await;
    assert_eq!(stored["created_at"], "2020-01-01T00:00:00.000Z", "{stored}");
    let mut job = job;
    job["available_at"] = json!("2019-01-01T00:00:00Z");
    let errors = errors(&send(&service, &job).await);
    let [(field, message)] = &errors[..] else { panic!("{errors:?}") };
    assert!(field == "available_at" && message.contains("2020-01-01T00:00:00.000Z"), "{errors:?}");
}

#[tokio::test]
async fn a_line_is_checked_against_every_stored_time() {
    let service = Service::shared().await;
    assert_eq!(went_in(&send(&service, &completed("1")).await), [1, 0, 0, 0]);
    let early =
        json!({ "external_id": "1", "type": "a", "status": "running", "started_at": "2025-12-31T00:00:00Z" });
    let named: Vec<String> =
        errors(&send(&service, &early).await).into_iter().map(|(field, _)| field).collect();
    assert_eq!(named, ["status", "created_at"]);
}
