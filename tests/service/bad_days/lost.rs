//! Requests that are done, and whose answers are lost: trying again must not find its own first try in the way.

use jobledger_tests::alone::Request;
use jobledger_tests::faults::{Fault, Seen};
use serde_json::{Value, json};

use super::House;
use crate::audit::Log;

/// More requests than any one call sends.
const MAX_REQUESTS: usize = 12;

/// Calls with each of its requests lost in turn, and has the answer looked at each time; `call` makes the request anew.
macro_rules! each_lost {
    ($house:expr, $name:expr, $number:ident, $request:expr, $look:expr) => {
        for fault in [Fault::AnswerLost, Fault::Lost] {
            let behind = $house.behind($name).await.knows_the_key().await;
            for $number in 0..MAX_REQUESTS {
                let request = $request;
                behind.proxy.spoil($number, fault.clone());
                let reply = behind.call(&request).await;
                let sent = behind.proxy.operations();
                let what = format!("{}, {fault:?} at {} of {sent:?}: {}", $name, $number, reply.text);
                $look(reply, what).await;
                if sent.len() <= $number {
                    break;
                }
                assert!($number + 1 < MAX_REQUESTS, "more requests than are tried");
            }
        }
    };
}

#[tokio::test]
async fn a_job_is_created_once() {
    let house = House::start().await;
    let body = |number: usize| json!({ "type": "render", "payload": { "number": number }, "name": "once" });
    let mut there = 0;
    each_lost!(
        house,
        "create-job",
        number,
        Request::new("POST", "/v1/jobs").body(body(number).to_string()),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!(reply.status, 201, "{what}");
            there += 1;
            let heads = house.heads().await;
            assert_eq!(heads.len(), there, "{what}");
            assert!(heads.contains_key(reply.at("/job_id").as_str().expect("an id")), "{what}");
        }
    );
}

#[tokio::test]
async fn a_job_of_an_external_id_and_a_key_is_created_once() {
    let house = House::start().await;
    let mut there = 0;
    each_lost!(
        house,
        "create-job",
        number,
        {
            let name = format!("{there}-{number}");
            let body = json!({ "type": "render", "external_id": name, "payload": number });
            Request::new("POST", "/v1/jobs")
                .header("idempotency-key", &format!("key-{name}"))
                .body(body.to_string())
        },
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!(reply.status, 201, "{what}");
            there += 1;
            assert_eq!(house.heads().await.len(), there, "{what}");
        }
    );
}

#[tokio::test]
async fn a_bulk_job_is_begun_once() {
    let house = House::start().await;
    let mut there = 0;
    each_lost!(
        house,
        "bulk-jobs",
        number,
        Request::new("POST", "/v1/jobs/bulk")
            .header("idempotency-key", &format!("{there}-{number}"))
            .body(json!({ "action": "cancel", "filter": { "type": format!("none-{number}") } }).to_string()),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!(reply.status, 202, "{what}");
            there += 1;
            assert_eq!(house.heads().await.len(), there, "{what}");
            house.service.settled().await;
            let id = reply.at("/job_id").as_str().expect("an id").to_owned();
            let job = house.service.get(&format!("/v1/jobs/{id}")).expect(200).await;
            assert_eq!(job.at("/status"), "completed", "{what}");
            assert!(job.at("/payload/filter").is_object(), "its input is there: {what}");
        }
    );
}

/// A bulk call whose every answer is lost is told in the audit when it is asked again.
#[tokio::test]
async fn a_bulk_job_that_nobody_heard_of_is_told() {
    let house = House::start().await;
    let (log, _listening) = Log::listen(&house.service).await;
    let behind = house.behind("bulk-jobs").await.knows_the_key().await;
    let body = json!({ "action": "delete", "filter": { "type": "none" } });
    let request = Request::new("POST", "/v1/jobs/bulk").header("idempotency-key", "k").body(body.to_string());
    let is_begun = |seen: &Seen| seen.operation == "TransactWriteItems";
    behind.proxy.plan(move |seen| if is_begun(seen) { Fault::AnswerLost } else { Fault::None });
    house.is_unavailable("bulk", &behind.call(&request).await);
    behind.proxy.heal();
    let reply = behind.call(&request).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    house.service.settled().await;
    let told = log.audit().into_iter().find(|line| line["audit"] == "bulk.delete").expect("the beginning");
    assert_eq!(&told["subject"], reply.at("/job_id"));
}

/// Every answer of one call is lost, so that the caller hears 503; it asks again, under the same key.
#[tokio::test]
async fn a_caller_that_asks_again_finds_the_job_that_it_made() {
    let house = House::start().await;
    let behind = house.behind("create-job").await.knows_the_key().await;
    let request =
        Request::new("POST", "/v1/jobs").header("idempotency-key", "k").body(r#"{"type":"x","payload":1}"#);
    behind.proxy.plan(|seen| {
        let is_head = seen.operation == "PutItem" && seen.body["Item"]["part"]["S"] == "head";
        if is_head { Fault::AnswerLost } else { Fault::None }
    });
    let reply = behind.call(&request).await;
    house.is_unavailable("create", &reply);
    assert_eq!(house.heads().await.len(), 1);
    behind.proxy.heal();
    let reply = behind.call(&request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let heads = house.heads().await;
    assert_eq!(heads.keys().collect::<Vec<_>>(), [reply.at("/job_id").as_str().expect("an id")]);
    let whole = house.service.get(&format!("/v1/jobs/{}", reply.at("/job_id").as_str().expect("an id")));
    assert_eq!(whole.expect(200).await.at("/payload"), &json!(1));
}

#[tokio::test]
async fn a_job_is_cancelled_for_its_caller() {
    let house = House::start().await;
    each_lost!(
        house,
        "cancel-job",
        number,
        Request::new("POST", &format!("/v1/jobs/{}/cancel", house.job(&json!({ "type": "x" })).await)),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!((reply.status, reply.at("/status")), (200, &json!("cancelled")), "{what}");
        }
    );
}

#[tokio::test]
async fn a_job_that_ended_is_deleted_for_its_caller() {
    let house = House::start().await;
    let ended = async || {
        let id = house.job(&json!({ "type": "x" })).await;
        house.service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
        id
    };
    each_lost!(
        house,
        "delete-job",
        number,
        Request::new("DELETE", &format!("/v1/jobs/{}", ended().await)),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert!(house.heads().await.is_empty(), "{what}");
        }
    );
}

#[tokio::test]
async fn a_job_that_lives_is_deleted_for_its_caller() {
    let house = House::start().await;
    each_lost!(
        house,
        "delete-job",
        number,
        Request::new("DELETE", &format!("/v1/jobs/{}", house.job(&json!({ "type": "x" })).await)),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert!(house.heads().await.is_empty(), "{what}");
        }
    );
}

#[tokio::test]
async fn a_job_that_is_not_there_is_not_deleted() {
    let house = House::start().await;
    let behind = house.behind("delete-job").await.knows_the_key().await;
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
    let house = House::start().await;
    let mut there = 0;
    each_lost!(
        house,
        "ingest-jobs",
        number,
        Request::new("POST", "/v1/admin/ingest/jobs").body(json!(lines(there, "1")).to_string()),
        async |reply: jobledger_tests::Reply, what: String| {
            let said = json!({ "created": 3, "updated": 0, "unchanged": 0, "rejected": [] });
            assert_eq!((reply.status, &reply.json), (200, &said), "{what}");
            there += 3;
            assert_eq!(house.heads().await.len(), there, "{what}");
        }
    );
}

/// An update whose answer was lost was done; and it leaves no part of the job behind that nobody names.
#[tokio::test]
async fn ingested_jobs_are_updated_once_and_leave_nothing_behind() {
    let house = House::start().await;
    let ingest = |body: &Value| house.service.post("/v1/admin/ingest/jobs", body);
    ingest(&json!(lines(0, "0"))).expect(200).await;
    let mut times = 0;
    each_lost!(
        house,
        "ingest-jobs",
        number,
        {
            times += 1;
            Request::new("POST", "/v1/admin/ingest/jobs")
                .body(json!(lines(0, &times.to_string())).to_string())
        },
        async |reply: jobledger_tests::Reply, what: String| {
            let said = json!({ "created": 0, "updated": 3, "unchanged": 0, "rejected": [] });
            assert_eq!((reply.status, &reply.json), (200, &said), "{what}");
            let items = house.dynamo.scan(&house.jobs).await;
            assert_eq!(items.len(), 9, "three heads, inputs and outputs: {what}");
        }
    );
}

#[tokio::test]
async fn a_record_is_made_once() {
    let house = House::start().await;
    let mut there = 0;
    each_lost!(
        house,
        "record",
        number,
        {
            there += 1;
            Request::new("PUT", &format!("/v1/records/source/{there}")).body(r#"{"status":"ready"}"#)
        },
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!(reply.status, 201, "{what}");
            assert_eq!(records(&house).await, there, "{what}");
        }
    );
    house.service.settled().await;
    let counted = house.service.get("/v1/records/count").expect(200).await;
    assert_eq!(counted.at("/by_status"), &json!({ "ready": there }));
}

#[tokio::test]
async fn a_record_that_there_is_is_put_again() {
    let house = House::start().await;
    house.service.call("PUT", "/v1/records/source/1").expect(201).await;
    each_lost!(
        house,
        "record",
        number,
        Request::new("PUT", "/v1/records/source/1").body(r#"{"status":"ready"}"#),
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!((reply.status, reply.at("/status")), (200, &json!("ready")), "{what}");
        }
    );
}

#[tokio::test]
async fn a_record_is_removed_for_its_caller() {
    let house = House::start().await;
    each_lost!(
        house,
        "record",
        number,
        {
            house.service.call("PUT", "/v1/records/source/1").expect(201).await;
            Request::new("DELETE", "/v1/records/source/1")
        },
        async |reply: jobledger_tests::Reply, what: String| {
            assert_eq!((reply.status, reply.at("/deleted")), (200, &json!(true)), "{what}");
            assert_eq!(records(&house).await, 0, "{what}");
        }
    );
}

/// How many records there are.
async fn records(house: &House) -> usize {
    let table = &house.service.stack.environment("record").expect("the function").vars["RECORDS_TABLE"];
    house.dynamo.scan(table).await.len()
}
