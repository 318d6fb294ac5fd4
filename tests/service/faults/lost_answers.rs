//! Requests that DynamoDB does, but whose answers get lost. A retry must not fail because of its own first attempt.

use jobledger_tests::log::LogLines;
use std::cell::Cell;

use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use jobledger_tests::faults::{Fault, Seen};
use serde_json::{Value, json};

use super::FaultFixture;

/// More requests than any one call sends.
const MAX_REQUESTS: usize = 12;

/// Calls the function several times, and loses the answer of another request each time. `request` makes the request of
/// each call; `check` checks its answer.
async fn each_lost(
    fixture: &FaultFixture,
    name: &str,
    mut request: impl AsyncFnMut(usize) -> Request,
    mut check: impl AsyncFnMut(&Reply, &str),
) {
    for fault in [Fault::AnswerLost, Fault::Lost] {
        let behind = fixture.behind(name).await.knows_the_key().await;
        for number in 0..MAX_REQUESTS {
            let request = request(number).await;
            behind.proxy.spoil(number, fault.clone());
            let reply = behind.call(&request).await;
            let sent = behind.proxy.operations();
            let what = format!("{name}, {fault:?} at {number} of {sent:?}: {}", reply.text);
            check(&reply, &what).await;
            if sent.len() <= number {
                break;
            }
            assert!(number + 1 < MAX_REQUESTS, "more requests than are tried");
        }
    }
}

#[tokio::test]
async fn a_job_is_created_once() {
    let fixture = FaultFixture::start().await;
    let body = |number: usize| json!({ "type": "render", "payload": { "number": number }, "name": "once" });
    let there = Cell::new(0);
    each_lost(
        &fixture,
        "create-job",
        async |number| Request::new("POST", "/v1/jobs").body(body(number).to_string()),
        async |reply, what| {
            assert_eq!(reply.status, 201, "{what}");
            there.set(there.get() + 1);
            let heads = fixture.heads().await;
            assert_eq!(heads.len(), there.get(), "{what}");
            assert!(heads.contains_key(reply.at("/job_id").as_str().expect("an id")), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_job_of_an_external_id_and_a_key_is_created_once() {
    let fixture = FaultFixture::start().await;
    let there = Cell::new(0);
    each_lost(
        &fixture,
        "create-job",
        async |number| {
            let name = format!("{}-{number}", there.get());
            let body = json!({ "type": "render", "external_id": name, "payload": number });
            Request::new("POST", "/v1/jobs")
                .header("idempotency-key", &format!("key-{name}"))
                .body(body.to_string())
        },
        async |reply, what| {
            assert_eq!(reply.status, 201, "{what}");
            there.set(there.get() + 1);
            assert_eq!(fixture.heads().await.len(), there.get(), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_bulk_job_starts_once() {
    let fixture = FaultFixture::start().await;
    let there = Cell::new(0);
    each_lost(
        &fixture,
        "bulk-jobs",
        async |number| {
            Request::new("POST", "/v1/jobs/bulk")
                .header("idempotency-key", &format!("{}-{number}", there.get()))
                .body(
                    json!({ "action": "cancel", "filter": { "type": format!("none-{number}") } }).to_string(),
                )
        },
        async |reply, what| {
            assert_eq!(reply.status, 202, "{what}");
            there.set(there.get() + 1);
            assert_eq!(fixture.heads().await.len(), there.get(), "{what}");
            fixture.service.settled().await;
            let id = reply.at("/job_id").as_str().expect("an id").to_owned();
            let job = fixture.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
            assert_eq!(job.at("/status"), "completed", "{what}");
            assert!(job.at("/payload/filter").is_object(), "its input is there: {what}");
        },
    )
    .await;
}

/// If every answer of a bulk call is lost, the repeated call is audited.
#[tokio::test]
async fn a_repeated_bulk_call_is_audited_if_the_first_answer_was_lost() {
    let fixture = FaultFixture::start().await;
    let (log, _listening) = LogLines::listen(&fixture.service).await;
    let behind = fixture.behind("bulk-jobs").await.knows_the_key().await;
    let body = json!({ "action": "delete", "filter": { "type": "none" } });
    let request = Request::new("POST", "/v1/jobs/bulk").header("idempotency-key", "k").body(body.to_string());
    let is_begun = |seen: &Seen| seen.operation == "TransactWriteItems";
    behind.proxy.plan(move |seen| if is_begun(seen) { Fault::AnswerLost } else { Fault::None });
    fixture.is_unavailable("bulk", &behind.call(&request).await);
    behind.proxy.heal();
    let reply = behind.call(&request).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    fixture.service.settled().await;
    let told = log.audit().into_iter().find(|line| line["audit"] == "bulk.delete").expect("the beginning");
    assert_eq!(&told["subject"], reply.at("/job_id"));
}

/// Every answer of one call is lost, so it returns 503. The caller repeats it with the same key.
#[tokio::test]
async fn a_repeated_call_with_the_same_key_finds_the_created_job() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.behind("create-job").await.knows_the_key().await;
    let request =
        Request::new("POST", "/v1/jobs").header("idempotency-key", "k").body(r#"{"type":"x","payload":1}"#);
    behind.proxy.plan(|seen| {
        let is_head = seen.operation == "PutItem" && seen.body["Item"]["part"]["S"] == "head";
        if is_head { Fault::AnswerLost } else { Fault::None }
    });
    let reply = behind.call(&request).await;
    fixture.is_unavailable("create", &reply);
    assert_eq!(fixture.heads().await.len(), 1);
    behind.proxy.heal();
    let reply = behind.call(&request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let heads = fixture.heads().await;
    assert_eq!(heads.keys().collect::<Vec<_>>(), [reply.at("/job_id").as_str().expect("an id")]);
    let whole = fixture.service.get(&format!("/v1/jobs/{}", reply.at("/job_id").as_str().expect("an id")));
    assert_eq!(whole.expect(200).await.at("/payload"), &json!(1));
}

#[tokio::test]
async fn a_job_is_cancelled_for_its_caller() {
    let fixture = FaultFixture::start().await;
    each_lost(
        &fixture,
        "cancel-job",
        async |_| {
            Request::new("POST", &format!("/v1/jobs/{}/cancel", fixture.job(&json!({ "type": "x" })).await))
        },
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/status")), (200, &json!("cancelled")), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_job_that_ended_is_deleted_for_its_caller() {
    let fixture = FaultFixture::start().await;
    let ended = async || {
        let id = fixture.job(&json!({ "type": "x" })).await;
        fixture.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        id
    };
    each_lost(
        &fixture,
        "delete-job",
        async |_| Request::new("DELETE", &format!("/v1/jobs/{}", ended().await)),
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert!(fixture.heads().await.is_empty(), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_job_that_has_not_ended_is_deleted_for_its_caller() {
    let fixture = FaultFixture::start().await;
    each_lost(
        &fixture,
        "delete-job",
        async |_| Request::new("DELETE", &format!("/v1/jobs/{}", fixture.job(&json!({ "type": "x" })).await)),
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert!(fixture.heads().await.is_empty(), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn deleting_a_missing_job_returns_404() {
    let fixture = FaultFixture::start().await;
    let behind = fixture.behind("delete-job").await.knows_the_key().await;
    let id = jobledger::Environment::fresh_id();
    let reply = behind.call(&Request::new("DELETE", &format!("/v1/jobs/{id}"))).await;
    assert_eq!((reply.status, reply.at("/code")), (404, &json!("job_not_found")));
}

fn lines(there: usize, cost: &str) -> Vec<Value> {
    let line = |number: usize| {
        json!({
            "external_id": format!("{there}-{number}"),
            "type": "render",
            "status": "completed",
            "completed_at": "2026-03-01T00:00:00Z",
            "payload": { "number": number },
            "result": { "number": number },
            "cost_usd": cost,
        })
    };
    (0..3).map(line).collect()
}

#[tokio::test]
async fn ingested_jobs_are_created_once() {
    let fixture = FaultFixture::start().await;
    let there = Cell::new(0);
    each_lost(
        &fixture,
        "ingest-jobs",
        async |_| {
            Request::new("POST", "/v1/admin/ingest/jobs").body(json!(lines(there.get(), "1")).to_string())
        },
        async |reply, what| {
            let said = json!({ "created": 3, "updated": 0, "unchanged": 0, "rejected": [] });
            assert_eq!((reply.status, &reply.json), (200, &said), "{what}");
            there.set(there.get() + 3);
            assert_eq!(fixture.heads().await.len(), there.get(), "{what}");
        },
    )
    .await;
}

/// An update whose answer was lost is done once. It leaves no part of the job that no head names.
#[tokio::test]
async fn ingested_jobs_are_updated_once_and_leave_nothing_behind() {
    let fixture = FaultFixture::start().await;
    let ingest = |body: &Value| fixture.service.post("/v1/admin/ingest/jobs", body);
    ingest(&json!(lines(0, "0"))).expect(200).await;
    let mut times = 0;
    each_lost(
        &fixture,
        "ingest-jobs",
        async |_| {
            times += 1;
            Request::new("POST", "/v1/admin/ingest/jobs")
                .body(json!(lines(0, &times.to_string())).to_string())
        },
        async |reply, what| {
            let said = json!({ "created": 0, "updated": 3, "unchanged": 0, "rejected": [] });
            assert_eq!((reply.status, &reply.json), (200, &said), "{what}");
            let items = fixture.dynamo.scan(&fixture.jobs).await;
            assert_eq!(items.len(), 9, "three heads, inputs and outputs: {what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_record_is_created_once() {
    let fixture = FaultFixture::start().await;
    let there = Cell::new(0);
    each_lost(
        &fixture,
        "record",
        async |_| {
            there.set(there.get() + 1);
            Request::new("PUT", &format!("/v1/records/source/{}", there.get())).body(r#"{"status":"ready"}"#)
        },
        async |reply, what| {
            assert_eq!(reply.status, 201, "{what}");
            assert_eq!(records(&fixture).await, there.get(), "{what}");
        },
    )
    .await;
    fixture.service.settled().await;
    let counted = fixture.service.get("/v1/records/count").expect(200).await;
    assert_eq!(counted.at("/by_status"), &json!({ "ready": there.get() }));
}

#[tokio::test]
async fn an_existing_record_is_put_again() {
    let fixture = FaultFixture::start().await;
    fixture.service.call("PUT", "/v1/records/source/1").expect(201).await;
    each_lost(
        &fixture,
        "record",
        async |_| Request::new("PUT", "/v1/records/source/1").body(r#"{"status":"ready"}"#),
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/status")), (200, &json!("ready")), "{what}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_record_is_removed_for_its_caller() {
    let fixture = FaultFixture::start().await;
    each_lost(
        &fixture,
        "record",
        async |_| {
            fixture.service.call("PUT", "/v1/records/source/1").expect(201).await;
            Request::new("DELETE", "/v1/records/source/1")
        },
        async |reply, what| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert_eq!(records(&fixture).await, 0, "{what}");
        },
    )
    .await;
}

/// How many records there are.
async fn records(fixture: &FaultFixture) -> usize {
    let table = &fixture.service.stack.environment("record").expect("the function").vars["RECORDS_TABLE"];
    fixture.dynamo.scan(table).await.len()
}
