//! `POST /v1/jobs`.

mod limits;
mod queue;
mod refusals;
mod repeats;
mod wait;

use jobledger::domain::{JobId, Timestamp};
use jobledger_tests::jobs::create;
use jobledger_tests::problems::refuses;
use jobledger_tests::{Service, text};
use serde_json::json;

#[tokio::test]
async fn a_job_is_queued_with_the_defaults_of_the_contract() {
    let service = Service::start().await;
    let reply = service.post("/v1/jobs", &json!({ "type": "video.transcode" })).expect(201).await;
    let id = text(reply.at("/job_id"));
    assert!(JobId::try_from(id.as_str()).is_ok(), "{id} is no UUID");
    let expect = json!({
        "job_id": id, "status": "queued", "available_at": reply.at("/available_at"), "position_in_queue": 1,
        "estimated_duration_seconds": null,
    });
    assert_eq!(reply.json, expect);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let location = reply.header("location").expect("a location").to_owned();
    assert_eq!(location, format!("/v1/jobs/{id}"));

    let job = service.get(&location).expect(200).await;
    let created_at = text(job.at("/created_at"));
    assert_eq!(Timestamp::parse(&created_at).expect("a time").to_string(), created_at);
    let expect = json!({
        "job_id": id, "owner": "default", "type": "video.transcode", "status": "queued", "priority": 0,
        "attempt": 0, "max_attempts": 1, "attempts": [], "artifacts": [], "timings": {}, "labels": {},
        "payload": null, "metadata": null,
        "created_at": created_at, "updated_at": created_at, "available_at": created_at,
        "progress": {
            "current_task": null, "current_task_progress": null, "overall_progress": 0, "eta_seconds": null,
        },
    });
    assert_eq!(job.json, expect);
}

#[tokio::test]
async fn every_field_is_returned_as_it_was_sent() {
    let service = Service::shared().await;
    let body = json!({
        "type": "ml.train:v2", "payload": { "input": ["s3://bucket/ä.mp4", 1, null, true] }, "priority": 10,
        "ttl_hours": 168, "max_attempts": 100, "timeout_seconds": 604_800,
        "available_at": "2100-01-01T02:30:00.5+02:30", "name": "Über uns — take 2.mp4", "external_id": "order/7#ä",
        "labels": { "team": "user-7", "gpu_type": "A100 80GB", "x_1": "y" }, "metadata": { "b": 1, "a": { "c": [] } },
    });
    let id = create(&service, &body).await;
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    for name in [
        "type",
        "payload",
        "priority",
        "max_attempts",
        "timeout_seconds",
        "name",
        "external_id",
        "labels",
        "metadata",
    ] {
        assert_eq!(job.json[name], body[name], "{name}");
    }
    assert_eq!(job.at("/available_at"), "2100-01-01T00:00:00.500Z");

    // The time counts from the end of the job, so `expires_at` appears only then.
    let ended = service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let end = Timestamp::parse(&text(ended.at("/completed_at"))).expect("a time");
    let expires_at = Timestamp::parse(&text(ended.at("/expires_at"))).expect("a time");
    assert!(expires_at >= end.plus_hours(168) && expires_at < end.plus_hours(168).plus_millis(1_000));
}

#[tokio::test]
async fn the_deployment_says_how_long_a_job_is_kept_by_default() {
    let service = Service::with(&[("DefaultTtlHours", "3")]).await;
    let id = create(&service, &json!({ "type": "a" })).await;
    let ended = service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let end = Timestamp::parse(&text(ended.at("/completed_at"))).expect("a time");
    let expires_at = Timestamp::parse(&text(ended.at("/expires_at"))).expect("a time");
    assert!(expires_at >= end.plus_hours(3) && expires_at < end.plus_hours(3).plus_millis(1_000));
}

#[tokio::test]
async fn older_words_mean_the_same_and_exclude_the_newer() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "tool": "scrape", "params": { "url": "x" } })).await;
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!((job.at("/type"), job.at("/payload")), (&json!("scrape"), &json!({ "url": "x" })));
    assert_eq!((job.at("/tool"), job.at("/params")), (&json!(null), &json!(null)));

    let both = json!({ "type": "a", "tool": "a", "payload": 1, "params": 1 });
    let reply = service.post("/v1/jobs", &both).send().await;
    refuses(&reply, 400, "invalid_body", &["params", "tool"]);
}

#[tokio::test]
async fn null_is_the_same_as_absent() {
    let service = Service::shared().await;
    let body = json!({
        "type": "a", "payload": null, "priority": null, "ttl_hours": null, "max_attempts": null,
        "timeout_seconds": null, "available_at": null, "name": null, "external_id": null, "labels": null,
        "metadata": null,
    });
    let id = create(&service, &body).await;
    let mut job = service.get(&format!("/v1/jobs/{id}")).expect(200).await.json;
    let other = create(&service, &json!({ "type": "a" })).await;
    let mut plain = service.get(&format!("/v1/jobs/{other}")).expect(200).await.json;
    for name in ["job_id", "created_at", "updated_at", "available_at"] {
        job[name].take();
        plain[name].take();
    }
    assert_eq!(job, plain);
    let reply = service.post("/v1/jobs", &json!({ "type": null })).send().await;
    refuses(&reply, 400, "invalid_body", &["type"]);
}

#[tokio::test]
async fn a_time_in_the_past_makes_a_job_available_now() {
    let service = Service::shared().await;
    let id = create(&service, &json!({ "type": "a", "available_at": "2001-01-01T00:00:00Z" })).await;
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!(job.at("/available_at"), job.at("/created_at"));
}

#[tokio::test]
async fn the_trace_of_the_request_is_kept() {
    let service = Service::shared().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let check = async |header: &str, expect: Option<&str>| {
        let call = service.post("/v1/jobs", &json!({ "type": "a" })).header("traceparent", header);
        let id = text(call.expect(201).await.at("/job_id"));
        let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
        assert_eq!(job.at("/trace_id").as_str(), expect, "{header}");
    };
    check(&format!("00-{trace}-00f067aa0ba902b7-01"), Some(trace)).await;
    // An invalid `traceparent` is no error for the caller: the job is created without a trace.
    for bad in ["", "garbage", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", trace] {
        check(bad, None).await;
    }
}
