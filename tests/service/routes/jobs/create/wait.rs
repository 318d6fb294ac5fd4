//! `Prefer: wait=N`, and the effect of a type's settings on its new jobs.

use std::time::Duration;

use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::direct::paused_environment;
use jobledger_tests::engine::Engine;
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Call, Reply, Service, clock, text};
use serde_json::{Value, json};
use tokio::time::Instant;

fn preferring(service: &Service, prefer: &str, body: &Value) -> Call {
    service.post("/v1/jobs", body).header("prefer", prefer)
}

async fn set(service: &Service, kind: &str, settings: &Value) {
    service.call("PUT", &format!("/v1/types/{kind}")).json(settings).expect(200).await;
}

/// Sends a call that creates a job and waits, and cancels the job as soon as it exists.
async fn called_off_meanwhile(service: &Service, call: Call) -> Reply {
    let waiting = tokio::spawn(call.send());
    let id = service
        .eventually("the job", async || {
            let list = service.get("/v1/jobs?status=queued").expect(200).await;
            list.at("/jobs/0/job_id").as_str().map(str::to_owned)
        })
        .await;
    assert!(!waiting.is_finished(), "it has not ended, so there is nothing to say");
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    let reply = waiting.await.expect("an answer");
    assert_eq!(reply.at("/job_id"), &json!(id), "{}", reply.text);
    reply
}

/// The answer must be the whole job, as its own route returns it.
async fn is_whole(service: &Service, reply: &Reply) {
    assert_eq!((reply.status, reply.at("/status")), (200, &json!("cancelled")), "{}", reply.text);
    let location = reply.header("location").expect("a location");
    assert_eq!(location, format!("/v1/jobs/{}", text(reply.at("/job_id"))));
    assert_eq!(service.get(location).expect(200).await.json, reply.json);
}

/// The answer must be the short one, of a queued job.
fn is_short(reply: &Reply, status: u16) {
    assert_eq!((reply.status, reply.at("/status")), (status, &json!("queued")), "{}", reply.text);
    let names: Vec<_> = reply.json.as_object().expect("an object").keys().collect();
    assert_eq!(
        names,
        ["available_at", "estimated_duration_seconds", "job_id", "position_in_queue", "status"]
    );
    assert_eq!(reply.header("preference-applied"), None);
    assert!(reply.header("location").is_some());
}

#[tokio::test]
async fn a_job_that_ends_in_time_is_answered_whole() {
    let service = Service::shared().await;
    let began = Instant::now();
    let body = json!({ "type": "a", "payload": { "x": 1.10 }, "metadata": { "y": [] } });
    let reply = called_off_meanwhile(&service, preferring(&service, "respond-async, Wait=25", &body)).await;
    is_whole(&service, &reply).await;
    assert_eq!((reply.at("/payload"), reply.at("/metadata")), (&body["payload"], &body["metadata"]));
    assert_eq!(reply.header("preference-applied"), Some("wait=25"));
    assert!(began.elapsed() < Duration::from_secs(25), "it was held to the end");
}

#[tokio::test]
async fn a_job_that_does_not_is_created_all_the_same() {
    let service = Service::shared().await;
    for (prefer, least_ms) in
        [("wait=1", 1_000), ("wait=0", 0), ("respond-async", 0), ("waiting=3, a; wait=3", 0)]
    {
        let began = Instant::now();
        let reply = preferring(&service, prefer, &json!({ "type": "a" })).send().await;
        is_short(&reply, 201);
        let took = began.elapsed();
        // The function's clock has whole milliseconds, so its wait may seem to begin one earlier.
        assert!(took + Duration::from_millis(2) >= Duration::from_millis(least_ms), "{prefer}: {took:?}");
        assert!(took < Duration::from_secs(25), "{prefer}: {took:?}");
    }
}

/// On the paused clock, so that the claim comes within the wait on any machine.
#[tokio::test(start_paused = true)]
async fn the_answer_after_a_wait_tells_of_its_end() {
    clock::begin_paused();
    let engine = Engine::start();
    let creator = Alone::start("create-job", paused_environment(&engine)).await;
    let claim_function = Alone::start("claim-jobs", paused_environment(&engine)).await;
    let create = |body: Value| Request::new("POST", "/v1/jobs").body(body.to_string());
    assert_eq!(creator.call(&create(json!({ "type": "a" }))).await.status, 201);
    let request =
        create(json!({ "type": "a", "external_id": "x", "priority": 1 })).header("prefer", "wait=2");
    let claim = async {
        clock::pass(1_000).await;
        let body = json!({ "worker_id": "w", "types": ["a"] }).to_string();
        claim_function.call(&Request::new("POST", "/v1/jobs/claim").body(body)).await
    };
    let (reply, claimed) = tokio::join!(creator.call(&request), claim);
    assert_eq!(claimed.at("/jobs/0/external_id"), "x", "{}", claimed.text);
    assert_eq!((reply.status, reply.at("/job_id")), (201, claimed.at("/jobs/0/job_id")), "{}", reply.text);
    assert_eq!((reply.at("/status"), reply.at("/position_in_queue")), (&json!("running"), &Value::Null));
    assert_eq!(reply.at("/available_at"), &Value::Null);
}

#[tokio::test]
async fn a_wait_that_is_none_is_refused() {
    let service = Service::shared().await;
    for bad in ["wait=26", "wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "a, wait=\"99\"; b"] {
        let reply = preferring(&service, bad, &json!({ "type": "a" })).send().await;
        refuses(&reply, 422, "invalid_header", &["Prefer"]);
    }
    assert_eq!(service.get("/v1/jobs").expect(200).await.at("/jobs"), &json!([]));
    // The function refuses an invalid body without waiting.
    is_problem(&preferring(&service, "wait=25", &json!({})).send().await, 400, "invalid_body");
}

#[tokio::test]
async fn a_job_that_is_deleted_meanwhile_was_created() {
    let service = Service::shared().await;
    let waiting = tokio::spawn(preferring(&service, "wait=25", &json!({ "type": "a" })).send());
    let id = service
        .eventually("the job", async || {
            service.get("/v1/jobs").expect(200).await.at("/jobs/0/job_id").as_str().map(str::to_owned)
        })
        .await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    let reply = waiting.await.expect("an answer");
    // The delete first cancels the job, so the answer may show that.
    assert!([200, 201].contains(&reply.status), "{}", reply.text);
    assert_eq!(reply.at("/job_id"), &json!(id));
}

#[tokio::test]
async fn a_repetition_waits_for_the_same_job() {
    let service = Service::shared().await;
    for (name, body) in
        [("idempotency-key", json!({ "type": "a" })), ("x", json!({ "type": "b", "external_id": "1" }))]
    {
        let call = |prefer: &str| preferring(&service, prefer, &body).header(name, "k");
        let first = call("wait=0").send().await;
        is_short(&first, 201);
        let again = call("wait=0").send().await;
        is_short(&again, 200);
        assert_eq!(first.at("/job_id"), again.at("/job_id"));
        let reply = called_off_meanwhile(&service, call("wait=25")).await;
        is_whole(&service, &reply).await;
        assert_eq!(reply.at("/job_id"), first.at("/job_id"));
        // An ended job is returned at once. Without the header, the answer has only its status.
        let ended = call("wait=0").send().await;
        is_whole(&service, &ended).await;
        assert_eq!(ended.header("preference-applied"), Some("wait=0"));
        let plain = service.post("/v1/jobs", &body).header(name, "k").expect(200).await;
        assert_eq!((plain.at("/status"), plain.at("/type")), (&json!("cancelled"), &Value::Null));
    }
}

#[tokio::test]
async fn an_immediate_type_waits_by_itself() {
    let service = Service::shared().await;
    set(&service, "ping", &json!({ "mode": "immediate" })).await;
    let reply = called_off_meanwhile(&service, service.post("/v1/jobs", &json!({ "type": "ping" }))).await;
    is_whole(&service, &reply).await;
    assert_eq!(reply.header("preference-applied"), None, "nobody asked");
    // The caller's own wait overrides the type's.
    is_short(&preferring(&service, "wait=0", &json!({ "type": "ping" })).send().await, 201);
    // The wait has an end.
    let began = Instant::now();
    is_short(&service.post("/v1/jobs", &json!({ "type": "ping" })).send().await, 201);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(4_998) && took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test]
async fn trouble_while_waiting_is_no_word_that_there_is_no_job() {
    let service = Service::start().await;
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let function = Alone::start("create-job", service.environment_at("create-job", proxy.url())).await;
    let create = Request::new("POST", "/v1/jobs").body(r#"{"type":"a"}"#);
    assert_eq!(function.call(&create).await.status, 201, "from now on it knows the key");
    let mut is_created = false;
    proxy.plan(move |seen| {
        let fault = if is_created { Fault::broken() } else { Fault::None };
        is_created |= seen.operation == "PutItem";
        fault
    });
    let reply = function.call(&create.header("prefer", "wait=25")).await;
    is_short(&reply, 201);
    service.get(reply.header("location").expect("a location")).expect(200).await;
}

#[tokio::test]
async fn a_type_says_how_many_tries_its_jobs_have() {
    let service = Service::shared().await;
    set(&service, "a", &json!({ "max_attempts": 7 })).await;
    for (kind, said, expect) in [("a", None, 7), ("a", Some(1), 1), ("a", Some(9), 9), ("b", None, 1)] {
        let reply =
            service.post("/v1/jobs", &json!({ "type": kind, "max_attempts": said })).expect(201).await;
        let job = service.get(reply.header("location").expect("a location")).expect(200).await;
        assert_eq!(job.at("/max_attempts"), expect, "{kind} {said:?}");
    }
    // The same request is a repetition, even if the type's settings have changed.
    let call = || service.post("/v1/jobs", &json!({ "type": "a" })).header("idempotency-key", "k");
    call().expect(201).await;
    set(&service, "a", &json!({ "max_attempts": 8 })).await;
    call().expect(200).await;
    service
        .post("/v1/jobs", &json!({ "type": "a", "max_attempts": 7 }))
        .header("idempotency-key", "k")
        .expect(422)
        .await;
}
