//! Repeated requests for the same job: by `Idempotency-Key`, by `external_id`, and by both.

use std::collections::BTreeSet;

use jobledger_tests::jobs::total;
use jobledger_tests::problems::{is_problem, refuses};
use jobledger_tests::{Call, Reply, Service, text};
use serde_json::json;
use tokio::task::JoinSet;

/// `POST /v1/jobs` with this text as its body, under this key.
fn keyed(service: &Service, key: &str, body: &str) -> Call {
    service.call("POST", "/v1/jobs").header("idempotency-key", key).body(body)
}

/// Sends all calls at once.
async fn at_once(calls: impl Iterator<Item = Call>) -> Vec<Reply> {
    let mut under_way = JoinSet::new();
    for call in calls {
        under_way.spawn(call.send());
    }
    under_way.join_all().await
}

#[tokio::test]
async fn a_key_and_its_body_give_one_job() {
    let service = Service::shared().await;
    let first =
        keyed(&service, "k", r#"{"type":"a","payload":{"x":1,"y":[2]},"priority":3}"#).expect(201).await;
    for same in [
        r#"{"type":"a","payload":{"x":1,"y":[2]},"priority":3}"#,
        r#"{ "priority": 3, "payload": { "y": [ 2 ], "x": 1 }, "type": "a" }"#,
        r#"{"tool":"a","params":{"x":1,"y":[2]},"priority":3}"#,
        r#"{"type":"a","payload":{"x":1,"y":[2]},"priority":3,"name":null}"#,
        "\r\n{\"type\":\"\\u0061\",\"payload\":{\"x\":1,\"y\":[2]},\"priority\":3}\n",
    ] {
        let again = keyed(&service, "k", same).expect(200).await;
        assert_eq!(again.at("/job_id"), first.at("/job_id"), "{same}");
        assert_eq!(again.header("location"), first.header("location"));
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let service = Service::shared().await;
    keyed(&service, "k", r#"{"type":"a","payload":{"x":1}}"#).expect(201).await;
    for other in [
        r#"{"type":"b","payload":{"x":1}}"#,
        r#"{"type":"a","payload":{"x":2}}"#,
        r#"{"type":"a","payload":{"x":"1"}}"#,
        r#"{"type":"a","payload":[1]}"#,
        r#"{"type":"a"}"#,
        r#"{"type":"a","payload":{"x":1},"priority":1}"#,
    ] {
        is_problem(&keyed(&service, "k", other).send().await, 422, "idempotency_key_reused");
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);
}

#[tokio::test]
async fn bodies_differ_by_their_last_digit() {
    let service = Service::shared().await;
    let pairs = [
        ("12345678901234567890123", "12345678901234567890124"),
        ("0.12345678901234567890", "0.12345678901234567891"),
        ("1e400", "1e401"),
    ];
    for (number, (one, other)) in pairs.into_iter().enumerate() {
        let (key, body) = (format!("k{number}"), |payload| format!(r#"{{"type":"a","payload":{payload}}}"#));
        keyed(&service, &key, &body(one)).expect(201).await;
        let reply = keyed(&service, &key, &body(other)).send().await;
        assert_eq!(reply.status, 422, "{one} and {other}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_key_belongs_to_its_owner() {
    let service = Service::start().await;
    let call = |path| service.post(path, &json!({ "type": "a" })).header("idempotency-key", "k");
    let own = call("/v1/jobs").expect(201).await;
    let others = call("/v1/jobs?owner=other").expect(201).await;
    assert_ne!(own.at("/job_id"), others.at("/job_id"));
    assert_eq!(call("/v1/jobs?owner=other").expect(200).await.at("/job_id"), others.at("/job_id"));
}

#[tokio::test]
async fn a_key_has_a_form() {
    let service = Service::shared().await;
    let long = "x".repeat(256);
    for bad in ["", " ", long.as_str()] {
        let reply = keyed(&service, bad, r#"{"type":"a"}"#).send().await;
        refuses(&reply, 422, "invalid_header", &["Idempotency-Key"]);
    }
    keyed(&service, &"x".repeat(255), r#"{"type":"a"}"#).expect(201).await;
    keyed(&service, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", r#"{"type":"a"}"#).expect(201).await;
}

#[tokio::test]
async fn of_many_at_once_one_creates() {
    let service = Service::shared().await;
    // Jobs with a head only, and with parts: the function writes the two differently. The test repeats each race,
    // because a mistake shows only if two requests come within a millisecond.
    let bodies = [
        json!({ "type": "a" }),
        json!({ "type": "a", "payload": 1 }),
        json!({ "type": "a", "name": "b" }),
        json!({ "type": "a", "external_id": "x" }),
        json!({ "type": "a", "external_id": "y", "payload": 1 }),
        json!({ "type": "b" }),
        json!({ "type": "c" }),
        json!({ "type": "d" }),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let key = format!("k{number}");
        let calls = (0..24).map(|_| service.post("/v1/jobs", body).header("idempotency-key", &key));
        let replies = at_once(calls).await;
        let ids: BTreeSet<String> = replies.iter().map(|reply| text(reply.at("/job_id"))).collect();
        assert_eq!(ids.len(), 1, "{body}: one job");
        let with = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((with(201), with(200)), (1, 23), "{body}: created once, found by the others");
    }
    service.settled().await;
    assert_eq!(total(&service, "").await, 8);
}

#[tokio::test]
async fn of_many_different_bodies_at_once_one_wins() {
    let service = Service::shared().await;
    let body = |number: u32| json!({ "type": "a", "payload": number });
    let calls = (0..16).map(|number| service.post("/v1/jobs", &body(number)).header("idempotency-key", "k"));
    let replies = at_once(calls).await;
    let with = |status| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!((with(201), with(422)), (1, 15));
    // The job has the payload of the call that created it.
    let id =
        replies.iter().find(|reply| reply.status == 201).map(|reply| text(reply.at("/job_id"))).expect("one");
    let job = service.get(&format!("/v1/jobs/{id}")).expect(200).await;
    let payload = job.at("/payload").as_u64().expect("the winner's payload");
    let again = service.post("/v1/jobs", &json!({ "type": "a", "payload": payload }));
    again.header("idempotency-key", "k").expect(200).await;
    let parts = jobledger_tests::stored::stored_parts(&service, &id).await;
    assert_eq!(parts.len(), 3, "a head, its key and one input: {parts:?}");
}

#[tokio::test]
async fn an_external_id_is_unique_within_its_owner() {
    let service = Service::start().await;
    let body = json!({ "type": "a", "external_id": "order-7", "payload": { "x": 1 } });
    let first = service.post("/v1/jobs", &body).expect(201).await;
    let again = service.post("/v1/jobs", &body).expect(200).await;
    assert_eq!(again.at("/job_id"), first.at("/job_id"));
    let other = json!({ "type": "a", "external_id": "order-7", "payload": { "x": 2 } });
    let reply = service.post("/v1/jobs", &other).send().await;
    is_problem(&reply, 409, "external_id_taken");
    assert_eq!(reply.at("/job_status"), "queued");
    service.post("/v1/jobs?owner=other", &other).expect(201).await;
    service.settled().await;
    assert_eq!(total(&service, "").await, 1);

    // Once the first job is deleted, the id is free.
    service.call("DELETE", &format!("/v1/jobs/{}", text(first.at("/job_id")))).expect(200).await;
    let second = service.post("/v1/jobs", &other).expect(201).await;
    service.settled().await;
    let job = service.get(&format!("/v1/jobs/{}", text(second.at("/job_id")))).expect(200).await;
    assert_eq!(job.at("/payload"), &other["payload"]);
}

#[tokio::test]
async fn a_key_and_an_external_id_are_both_kept() {
    let service = Service::shared().await;
    let body = |external_id: &str| json!({ "type": "a", "external_id": external_id });
    let call = |key: &str, external_id: &str| {
        service.post("/v1/jobs", &body(external_id)).header("idempotency-key", key)
    };
    let first = call("k", "x").expect(201).await;
    assert_eq!(call("k", "x").expect(200).await.at("/job_id"), first.at("/job_id"));
    assert_eq!(service.post("/v1/jobs", &body("x")).expect(200).await.at("/job_id"), first.at("/job_id"));
    is_problem(&call("k", "y").send().await, 422, "idempotency_key_reused");
    service.settled().await;
    assert_eq!(total(&service, "").await, 1, "the refused call made no job");
    call("l", "y").expect(201).await;
}

#[tokio::test]
async fn a_key_is_the_same_with_and_without_an_external_id() {
    let service = Service::shared().await;
    let (with, without) = (json!({ "type": "a", "external_id": "x" }), json!({ "type": "a" }));
    let call = |key: &str, body| service.post("/v1/jobs", body).header("idempotency-key", key);
    call("k", &with).expect(201).await;
    is_problem(&call("k", &without).send().await, 422, "idempotency_key_reused");
    call("l", &without).expect(201).await;
    let other = json!({ "type": "a", "external_id": "y" });
    is_problem(&call("l", &other).send().await, 422, "idempotency_key_reused");
    service.settled().await;
    assert_eq!(total(&service, "").await, 2);
}
