//! `POST /v1/admin/recount`, with the function that runs its task.

use jobledger_tests::alone::Alone;
use jobledger_tests::jobs::total;
use jobledger_tests::keys::add_key;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

const PATH: &str = "/v1/admin/recount";

#[tokio::test]
async fn a_recount_is_a_job_that_ends() {
    let service = Service::start().await;
    jobledger_tests::jobs::create(&service, &json!({ "type": "a" })).await;
    service.settled().await;
    let body = json!({ "repair": true, "owner": "default", "settle_seconds": 0 });
    let reply = service.post(PATH, &body).expect(202).await;
    let id = text(reply.at("/job_id"));
    assert_eq!(reply.header("location"), Some(format!("/v1/jobs/{id}").as_str()));
    assert_eq!((reply.at("/type"), reply.at("/status")), (&json!("recount"), &json!("running")));
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    assert_eq!(job.at("/status"), "completed", "{}", job.text);
    assert_eq!(job.at("/payload"), &body);
    for (name, expected) in [("drift", json!({})), ("repaired", json!(0)), ("busy", json!(0))] {
        assert_eq!(job.at(&format!("/result/{name}")), &expected, "{name}: {}", job.text);
    }
    assert!(job.at("/result/hours").as_u64() >= Some(1) && job.at("/result/rows").as_u64() >= Some(1));
    assert_eq!(job.at("/progress/overall_progress"), 100);
    // Head, input and output.
    assert_eq!(stored_parts(&service, &id).await.len(), 3);
    assert_eq!(total(&service, "type=recount&status=completed").await, 1);
}

#[tokio::test]
async fn a_body_is_not_needed() {
    let service = Service::start().await;
    let reply = service.call("POST", PATH).expect(202).await;
    let job = service.get(&format!("/v1/jobs/{}", text(reply.at("/job_id")))).expect(200).await;
    assert_eq!(job.at("/payload"), &json!({ "repair": false, "settle_seconds": 60 }));
    // Cancelling the job stops the task.
    service.call("POST", &format!("/v1/jobs/{}/cancel", text(reply.at("/job_id")))).expect(200).await;
    service.settled().await;
}

#[tokio::test]
async fn the_same_key_is_the_same_recount() {
    let service = Service::start().await;
    let body = json!({ "settle_seconds": 0 });
    let send = |body: &Value| service.post(PATH, body).header("idempotency-key", "nightly");
    let first = text(send(&body).expect(202).await.at("/job_id"));
    assert_eq!(text(send(&body).expect(202).await.at("/job_id")), first);
    let other = send(&json!({ "settle_seconds": 1 })).send().await;
    is_problem(&other, 422, "idempotency_key_reused");
    service.settled().await;
    assert_eq!(text(send(&body).expect(202).await.at("/job_id")), first);
    assert_eq!(stored_parts(&service, &first).await.len(), 4, "head, key, input and output");
    assert_eq!(total(&service, "type=recount").await, 1);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = Service::start().await;
    let check = async |body: Value, fields: &[&str]| {
        let reply = service.post(PATH, &body).send().await;
        refuses(&reply, 400, "invalid_body", fields);
    };
    check(json!({ "repair": "yes" }), &["repair"]).await;
    check(json!({ "repair": 1, "owner": "*", "settle_seconds": -1 }), &["repair", "owner", "settle_seconds"])
        .await;
    check(json!({ "settle_seconds": 3601 }), &["settle_seconds"]).await;
    check(json!({ "settle_seconds": 1.5 }), &["settle_seconds"]).await;
    check(json!({ "owner": ["a"], "dry_run": true }), &["owner", "dry_run"]).await;
    for body in ["[]", "true", "{"] {
        is_problem(&service.call("POST", PATH).body(body).send().await, 400, "invalid_json");
    }
    let reply = service.post(&format!("{PATH}?repair=true"), &json!({})).send().await;
    refuses(&reply, 422, "invalid_query", &["repair"]);
    let reply = service.post(PATH, &json!({})).header("idempotency-key", " ").send().await;
    refuses(&reply, 422, "invalid_header", &["Idempotency-Key"]);
    is_problem(&service.call("POST", PATH).body(vec![b' '; 5_000]).send().await, 413, "too_large");
    service.settled().await;
    assert_eq!(total(&service, "").await, 0, "nothing was begun");
}

#[tokio::test]
async fn a_recount_requires_an_admin() {
    let service = Service::start().await;
    add_key(&service, "worker", "default", &["read", "write", "work"], None).await;
    let reply = service.anonymous("POST", PATH).header("x-api-key", "worker").send().await;
    is_problem(&reply, 403, "missing_scope");
    is_problem(&service.anonymous("POST", PATH).send().await, 401, "unauthenticated");
}

/// The schedule begins a recount, too: one for each event, even if the event is repeated.
#[tokio::test]
async fn the_scheduled_recount_repairs_nothing() {
    let service = Service::start().await;
    let environment = service.stack.environment("schedule-recount").expect("the function");
    let function = Alone::start("schedule-recount", environment).await;
    let event = |id: &str| json!({ "id": id, "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    for id in ["first", "first", "second"] {
        assert_eq!(function.invoke(&event(id)).await, Ok(Value::Null));
    }
    assert!(function.invoke(&json!({})).await.is_err(), "an event must say which it is");
    let list = service.get("/v1/jobs?owner=jobledger&type=recount").expect(200).await;
    let jobs = list.at("/jobs").as_array().expect("jobs");
    assert_eq!(jobs.len(), 2, "{}", list.text);
    for job in jobs {
        let path = format!("/v1/jobs/{}?owner=jobledger", text(&job["job_id"]));
        let job = service.get(&path).expect(200).await;
        assert_eq!(job.at("/payload"), &json!({ "repair": false, "settle_seconds": 60 }));
        service.call("POST", &path.replace('?', "/cancel?")).expect(200).await;
    }
    let schedules = service.stack.template().functions.iter().flat_map(|function| &function.schedules);
    assert_eq!(schedules.map(|rule| rule.every.as_secs()).collect::<Vec<_>>(), [60, 86_400]);
}
