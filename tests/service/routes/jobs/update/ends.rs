//! The ends of an attempt.

use jobledger_tests::claims::{ClaimedJob, claim_of, create_and_claim, set_type};
use jobledger_tests::jobs::{create, total};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Reply, Service, text};
use serde_json::{Value, json};

use super::{is_at, time, whole};

fn failed(message: &str) -> Value {
    json!({ "status": "failed", "error": { "message": message, "failed_task": "encode", "code": "no_gpu" } })
}

async fn again(service: &Service, kind: &str) -> ClaimedJob {
    claim_of(service, kind, 1).await.remove(0)
}

#[tokio::test]
async fn a_completed_job_keeps_its_result_files_and_cost() {
    let service = Service::shared().await;
    let job = json!({ "type": "a", "payload": { "in": 1 }, "labels": { "model": "m" }, "ttl_hours": 2 });
    let held = create_and_claim(&service, &job).await;
    let end = json!({
        "status": "completed", "result": { "out": [1.50] }, "cost_usd": "0.25", "timings": { "load": 1, "run": 2.5 },
        "artifacts": [{ "name": "x.png", "size_bytes": 9, "content_type": "image/png", "attributes": { "w": 3 } }],
    });
    let reply = held.tell(&service, &end).await;
    is_at(&reply, "completed");
    assert_eq!((reply.at("/cancel"), reply.at("/lease_expires_at")), (&json!(false), &Value::Null));
    assert_eq!(reply.at("/cost_usd"), "0.250000");
    let whole = whole(&service, &held.id).await;
    let expect = json!([{
        "name": "x.png", "size_bytes": 9, "content_type": "image/png", "attributes": { "w": 3 }, "download_url": null,
    }]);
    assert_eq!((&whole["artifacts"], &whole["result"]), (&expect, &json!({ "out": [1.5] })));
    assert_eq!(
        (&whole["timings"], &whole["payload"]),
        (&json!({ "load": 1, "run": 2.5 }), &json!({ "in": 1 }))
    );
    assert_eq!(whole["progress"]["overall_progress"], 100);
    assert_eq!(time(&whole["expires_at"]).since(time(&whole["completed_at"])) / 3_600_000, 2);
    assert!(
        whole["duration_ms"].is_u64() && whole["worker_id"].is_null() && whole["error"].is_null(),
        "{whole}"
    );
    let expect = json!([{
        "number": 1, "worker": "w", "started_at": whole["started_at"], "ended_at": whole["completed_at"],
        "outcome": "completed", "error": null,
    }]);
    assert_eq!(whole["attempts"], expect);
    service.settled().await;
    let costs = service.get("/v1/analytics/cost/by-model").expect(200).await;
    assert_eq!(costs.at("/items/0"), &json!({ "model": "m", "cost_usd": "0.250000", "jobs": 1 }));
    // The result stays until the job is deleted.
    assert_eq!(stored_parts(&service, &held.id).await.len(), 3);
    service.call("DELETE", &format!("/v1/jobs/{}", held.id)).expect(200).await;
    service.settled().await;
    assert_eq!(stored_parts(&service, &held.id).await, [""; 0]);
}

#[tokio::test]
async fn a_repeated_final_report_is_accepted_and_a_different_one_refused() {
    let service = Service::shared().await;
    for (end, others) in [
        (
            json!({ "status": "completed", "result": 1 }),
            vec![
                json!({ "status": "completed", "result": 2 }),
                json!({ "status": "completed" }),
                failed("no"),
            ],
        ),
        (
            failed("no"),
            vec![failed("another"), json!({ "status": "completed" }), json!({ "status": "queued" })],
        ),
        (json!({ "status": "cancelled" }), vec![json!({ "status": "completed" }), failed("no")]),
    ] {
        let held = create_and_claim(&service, &json!({ "type": "a" })).await;
        let first = held.tell(&service, &end).await;
        let before = whole(&service, &held.id).await;
        assert_eq!(held.tell(&service, &end).await.json, first.json);
        for other in others {
            let reply = held.report(&service, &other).send().await;
            is_problem(&reply, 409, "wrong_status");
            assert_eq!(reply.at("/job_status"), &before["status"], "{other}");
        }
        assert_eq!(whole(&service, &held.id).await, before);
        // The order of fields and white space make no difference.
        let mut said = end.clone();
        said["lease_token"] = json!(held.token);
        let spaced = serde_json::to_string_pretty(&said).expect("JSON");
        service.call("PATCH", &format!("/v1/jobs/{}", held.id)).body(spaced).expect(200).await;
        let parts = stored_parts(&service, &held.id).await;
        assert_eq!(parts.len(), 1 + usize::from(end.get("result").is_some()), "{parts:?}");
    }
}

#[tokio::test]
async fn each_failed_attempt_waits_longer_and_the_last_one_fails_the_job() {
    let service = Service::shared().await;
    set_type(&service, "a", &json!({ "backoff_seconds": 100 })).await;
    set_type(&service, "b", &json!({ "backoff_seconds": 0 })).await;
    let waits = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
    let reply = waits.tell(&service, &failed("one")).await;
    is_at(&reply, "queued");
    let wait = time(reply.at("/available_at")).since(time(reply.at("/updated_at")));
    assert!((50_000..=100_000).contains(&wait), "{wait}");
    assert!(claim_of(&service, "a", 10).await.is_empty(), "it is not due");
    for name in ["/error", "/completed_at", "/started_at", "/lease_expires_at"] {
        assert!(reply.at(name).is_null(), "{name}: {}", reply.text);
    }

    let mut held =
        create_and_claim(&service, &json!({ "type": "b", "max_attempts": 3, "payload": "p" })).await;
    for number in 1..=3 {
        assert_eq!((&held.job["attempt"], &held.job["payload"]), (&json!(number), &json!("p")));
        let reply = held.tell(&service, &failed(&format!("try {number}"))).await;
        is_at(&reply, if number < 3 { "queued" } else { "failed" });
        if number < 3 {
            held = again(&service, "b").await;
        }
    }
    let job = whole(&service, &held.id).await;
    let error = json!({ "message": "try 3", "failed_task": "encode", "code": "no_gpu", "retry_count": 2 });
    assert_eq!((&job["error"], &job["attempt"]), (&error, &json!(3)));
    let last = job["attempts"].as_array().expect("tries").last().expect("a try").clone();
    assert_eq!((&last["number"], &last["worker"]), (&json!(3), &json!("w")));
    assert_eq!(last["error"], json!({ "message": "try 3", "failed_task": "encode", "code": "no_gpu" }));
    service.settled().await;
    assert_eq!((total(&service, "status=failed").await, total(&service, "status=queued").await), (1, 1));
}

#[tokio::test]
async fn an_error_that_is_not_retryable_fails_the_job_at_once() {
    let service = Service::shared().await;
    let first = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 5 })).await;
    let mut report = failed("broken input");
    report["retryable"] = json!(false);
    report["result"] = json!({ "partial": true });
    report["progress"] = json!({ "overall_progress": 40 });
    let reply = first.tell(&service, &report).await;
    is_at(&reply, "failed");
    assert_eq!(reply.at("/progress/overall_progress"), 40);
    assert_eq!(whole(&service, &first.id).await["result"], json!({ "partial": true }));
    // `true` is the default.
    set_type(&service, "b", &json!({ "backoff_seconds": 0 })).await;
    let second = create_and_claim(&service, &json!({ "type": "b", "max_attempts": 2 })).await;
    let mut report = failed("x");
    report["retryable"] = json!(true);
    is_at(&second.tell(&service, &report).await, "queued");
    // An error may also be a plain text.
    let third = again(&service, "b").await;
    let reply = third.tell(&service, &json!({ "status": "failed", "error": "no" })).await;
    assert_eq!((reply.at("/error/message"), reply.at("/error/failed_task")), (&json!("no"), &Value::Null));
}

#[tokio::test]
async fn a_job_that_is_handed_back_keeps_its_attempts() {
    let service = Service::shared().await;
    let first = create_and_claim(&service, &json!({ "type": "a" })).await;
    for _ in 0..2 {
        let reply = first.tell(&service, &json!({ "status": "queued" })).await;
        is_at(&reply, "queued");
        assert_eq!((reply.at("/attempt"), reply.at("/max_attempts")), (&json!(1), &json!(2)));
    }
    let second = again(&service, "a").await;
    assert_eq!((second.id.as_str(), &second.job["attempt"]), (first.id.as_str(), &json!(2)));
    let tries = whole(&service, &first.id).await["attempts"].clone();
    assert_eq!((&tries[0]["number"], &tries[0]["outcome"]), (&json!(1), &json!("handed_back")));
    // The job takes its place in the queue as of now.
    second.tell(&service, &json!({ "status": "pending" })).await;
    let other = create(&service, &json!({ "type": "a", "priority": 1 })).await;
    assert_eq!(
        claim_of(&service, "a", 2).await.iter().map(|held| held.id.clone()).collect::<Vec<_>>(),
        [other, first.id]
    );
}

#[tokio::test]
async fn a_failure_counts_whatever_its_texts_are() {
    let service = Service::shared().await;
    let long = "x".repeat(501);
    let cut = format!("{}…", "x".repeat(499));
    for (error, message) in [
        (json!(""), "an error without a message"),
        (json!({ "failed_task": "t" }), "an error without a message"),
        (json!(long), &cut),
        (json!({ "message": long, "failed_task": long }), &cut),
        (json!({ "message": "no disk", "code": "out of space" }), "out of space: no disk"),
    ] {
        let held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 9 })).await;
        let report = json!({ "status": "failed", "error": error, "retryable": false, "cost_usd": 5e-05 });
        let reply = held.tell(&service, &report).await;
        is_at(&reply, "failed");
        assert_eq!(reply.at("/error/message"), message, "{report}");
        assert_eq!(reply.at("/cost_usd"), "0.000050");
    }
}

#[tokio::test]
async fn only_failures_lengthen_the_wait_for_the_next_attempt() {
    let service = Service::shared().await;
    let mut held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 3 })).await;
    for _ in 0..9 {
        held.tell(&service, &json!({ "status": "queued" })).await;
        held = again(&service, "a").await;
    }
    let wait_ms = |reply: &Reply| time(reply.at("/available_at")).since(time(reply.at("/updated_at")));
    let first = held.tell(&service, &failed("x")).await;
    assert!((5_000..=10_000).contains(&wait_ms(&first)), "{}", first.text);
    // A caller's retry ends the delay.
    service.call("POST", &format!("/v1/jobs/{}/cancel", held.id)).expect(200).await;
    service.call("POST", &format!("/v1/jobs/{}/retry", held.id)).expect(200).await;
    let held = again(&service, "a").await;
    let second = held.tell(&service, &failed("x")).await;
    assert!((10_000..=20_000).contains(&wait_ms(&second)), "{}", second.text);
}

#[tokio::test]
async fn the_final_report_of_an_earlier_attempt_is_accepted_once_then_refused() {
    let service = Service::shared().await;
    set_type(&service, "a", &json!({ "backoff_seconds": 0 })).await;
    let first = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 3 })).await;
    first.tell(&service, &failed("x")).await;
    let second = again(&service, "a").await;
    let before = whole(&service, &first.id).await;
    // The first answer may have got lost: the repeated report succeeds and changes nothing.
    first.tell(&service, &failed("x")).await;
    for other in [failed("y"), json!({}), json!({ "status": "completed" }), json!({ "priority": 3 })] {
        is_problem(&first.report(&service, &other).send().await, 409, "lease_lost");
    }
    assert_eq!(whole(&service, &first.id).await, before);
    second.tell(&service, &json!({ "status": "completed" })).await;
}

#[tokio::test]
async fn a_cancel_reaches_the_worker_with_its_next_report() {
    let service = Service::shared().await;
    for report in [
        json!({}),
        json!({ "progress": { "overall_progress": 50 } }),
        json!({ "artifacts": [{ "name": "x" }] }),
    ] {
        let held = create_and_claim(&service, &json!({ "type": "a", "max_attempts": 2 })).await;
        service.call("POST", &format!("/v1/jobs/{}/cancel", held.id)).expect(200).await;
        let before = whole(&service, &held.id).await;
        for _ in 0..2 {
            let reply = held.tell(&service, &report).await;
            is_at(&reply, "cancelled");
            assert_eq!((reply.at("/cancel"), reply.at("/lease_expires_at")), (&json!(true), &Value::Null));
        }
        for end in [json!({ "status": "completed", "result": 1 }), failed("x"), json!({ "status": "queued" })]
        {
            let reply = held.report(&service, &end).send().await;
            is_problem(&reply, 409, "wrong_status");
            assert_eq!(reply.at("/job_status"), "cancelled");
        }
        assert_eq!(whole(&service, &held.id).await, before);
        assert_eq!(stored_parts(&service, &held.id).await, ["head"]);
        // Queued again, the job gets another attempt, and the old token is invalid.
        service.call("POST", &format!("/v1/jobs/{}/retry", held.id)).expect(200).await;
        is_problem(&held.report(&service, &json!({})).send().await, 409, "lease_lost");
        let again = again(&service, "a").await;
        is_problem(&held.report(&service, &json!({ "status": "completed" })).send().await, 409, "lease_lost");
        again.tell(&service, &json!({ "status": "completed" })).await;
    }
}

#[tokio::test]
async fn reporting_on_a_deleted_job_returns_404() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    service.call("DELETE", &format!("/v1/jobs/{}", held.id)).expect(200).await;
    for report in
        [json!({}), json!({ "status": "completed", "result": 1 }), failed("x"), json!({ "priority": 1 })]
    {
        is_problem(&held.report(&service, &report).send().await, 404, "job_not_found");
    }
    service.settled().await;
    assert_eq!(stored_parts(&service, &held.id).await, [""; 0], "no result without a job");
}

#[tokio::test]
async fn result_and_files_have_limits() {
    let service = Service::shared().await;
    let held = create_and_claim(&service, &json!({ "type": "a" })).await;
    let before = whole(&service, &held.id).await;
    for big in [
        json!({ "status": "completed", "result": "x".repeat(300 * 1024) }),
        json!({ "result": "x".repeat(300 * 1024) }),
    ] {
        is_problem(&held.report(&service, &big).send().await, 413, "too_large");
    }
    let artifact =
        |number: usize| json!({ "name": format!("{number}"), "attributes": { "x": "y".repeat(3_000) } });
    let artifacts: Vec<Value> = (0..100).map(artifact).collect();
    is_problem(&held.report(&service, &json!({ "artifacts": artifacts })).send().await, 413, "too_large");
    let many: Vec<Value> = (0..101).map(|number| json!({ "name": format!("{number}") })).collect();
    let reply = held.report(&service, &json!({ "artifacts": many })).send().await;
    refuses(&reply, 400, "invalid_body", &["artifacts"]);
    is_problem(
        &held.report(&service, &json!({ "result": " ".repeat(1_100_000) })).send().await,
        413,
        "too_large",
    );
    assert_eq!(whole(&service, &held.id).await, before);
    assert_eq!(stored_parts(&service, &held.id).await, ["head"]);
    // The largest result that is accepted.
    let result = "x".repeat(256 * 1024 - 32);
    held.tell(&service, &json!({ "status": "completed", "result": result })).await;
    assert_eq!(text(&whole(&service, &held.id).await["result"]).len(), result.len());
}
