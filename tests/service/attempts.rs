//! Attempts that ended. A job shows all of them, however often it is queued again. Deleting the job deletes them.

use jobledger_tests::alone::Alone;
use jobledger_tests::dynamo::{Dynamo, Item, text as text_of};
use jobledger_tests::jobs::create;
use jobledger_tests::stored::stored_parts;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

const KIND: &str = "scrape";

async fn start() -> Service {
    let service = Service::start().await;
    let settings = json!({ "backoff_seconds": 0 });
    service.call("PUT", &format!("/v1/types/{KIND}")).json(&settings).expect(200).await;
    service
}

/// Has a worker claim the only job; returns the token.
async fn claim(service: &Service, worker: &str) -> String {
    let body = json!({ "worker_id": worker, "types": [KIND] });
    let claimed = service.eventually("a job that may go", || async {
        let reply = service.post("/v1/jobs/claim", &body).expect(200).await;
        reply.json["jobs"].get(0).map(|job| text(&job["lease_token"]))
    });
    claimed.await
}

/// One more attempt, which the worker of this number reports as failed.
async fn fail(service: &Service, id: &str, number: usize) {
    let token = claim(service, &format!("w{number}")).await;
    let error = json!({ "message": format!("no {number}"), "failed_task": "t", "code": "e1" });
    let report = json!({ "lease_token": token, "status": "failed", "error": error });
    service.call("PATCH", &format!("/v1/jobs/{id}")).json(&report).expect(200).await;
}

async fn job(service: &Service, id: &str) -> Value {
    service.settled().await;
    service.get(&format!("/v1/jobs/{id}")).expect(200).await.json
}

/// The attempts that a job shows: the expected number, in order, each with its worker, its times and its error.
#[track_caller]
fn shows(job: &Value, count: usize) {
    let tries = job["attempts"].as_array().expect("tries");
    assert_eq!(tries.len(), count, "{job}");
    let mut ended = job["created_at"].as_str().expect("a time");
    for (number, tried) in (1..).zip(tries) {
        assert_eq!(
            (&tried["number"], &tried["worker"]),
            (&json!(number), &json!(format!("w{number}"))),
            "{job}"
        );
        let error = json!({ "message": format!("no {number}"), "failed_task": "t", "code": "e1" });
        assert_eq!(tried["error"], error, "{job}");
        let (from, to) = (tried["started_at"].as_str(), tried["ended_at"].as_str());
        assert!(from >= Some(ended) && to >= from, "{job}");
        ended = to.expect("a time");
    }
}

#[tokio::test]
async fn a_job_shows_all_its_attempts_until_it_is_deleted() {
    let service = start().await;
    let id = create(&service, &json!({ "type": KIND, "max_attempts": 4, "payload": 1 })).await;
    for number in 1..=4 {
        shows(&job(&service, &id).await, number - 1);
        fail(&service, &id, number).await;
    }
    let failed = job(&service, &id).await;
    assert_eq!((&failed["status"], &failed["attempt"]), (&json!("failed"), &json!(4)), "{failed}");
    shows(&failed, 4);

    let retry = format!("/v1/jobs/{id}/retry");
    service.call("POST", &retry).expect(200).await;
    shows(&job(&service, &id).await, 4);
    fail(&service, &id, 5).await;
    let failed = job(&service, &id).await;
    assert_eq!(failed["status"], "failed", "{failed}");
    shows(&failed, 5);
    let parts = stored_parts(&service, &id).await;
    let tries: Vec<_> = parts.iter().filter(|part| part.starts_with("try#")).collect();
    assert_eq!(tries, ["try#0001", "try#0002", "try#0003"], "the head tells the last two: {parts:?}");

    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    service.settled().await;
    assert!(stored_parts(&service, &id).await.is_empty());
}

/// A bulk retry queues the job again, and the job keeps its attempts.
#[tokio::test]
async fn a_bulk_retry_keeps_the_attempts() {
    let service = start().await;
    let id = create(&service, &json!({ "type": KIND })).await;
    for number in 1..=3 {
        fail(&service, &id, number).await;
        shows(&job(&service, &id).await, number);
        let retry = json!({ "action": "retry", "filter": { "type": KIND } });
        service.post("/v1/jobs/bulk", &retry).expect(202).await;
        service
            .eventually("the retry", || async {
                (job(&service, &id).await["status"] == "queued").then_some(())
            })
            .await;
        shows(&job(&service, &id).await, number);
    }
}

/// A stream record of a head, as Lambda sends it.
fn record(name: &str, old: &Item, new: Option<&Item>) -> Value {
    let keys = json!({ "job_id": old["job_id"], "part": old["part"] });
    let mut change = json!({ "Keys": keys, "SequenceNumber": "1", "StreamViewType": "NEW_AND_OLD_IMAGES", "OldImage": old });
    if let Some(new) = new {
        change["NewImage"] = json!(new);
    }
    json!({ "eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change })
}

/// Lambda repeats records, and delivers some late: after the job was deleted, and created again under the same id.
#[tokio::test]
async fn a_job_ingested_again_has_no_earlier_attempts() {
    let service = start().await;
    let names = service.stack.environment("delete-job-data").expect("the function");
    let jobs = names.vars["JOBS_TABLE"].clone();
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    let function = Alone::start("delete-job-data", names).await;
    let head = |id: String| {
        let (dynamo, jobs) = (dynamo.clone(), jobs.clone());
        async move {
            let items = dynamo.partition(&jobs, "job_id", &id).await;
            items.into_iter().find(|item| text_of(item, "part") == "head").expect("the head")
        }
    };
    let body = json!({ "type": KIND, "external_id": "e", "max_attempts": 3 });
    let mut lives = Vec::new();
    for life in 0..2 {
        let id = create(&service, &body).await;
        fail(&service, &id, 1).await;
        let first = head(id.clone()).await;
        fail(&service, &id, 2).await;
        let second = head(id.clone()).await;
        shows(&job(&service, &id).await, 2);
        lives.push((record("MODIFY", &first, Some(&second)), record("REMOVE", &second, None)));
        if life == 0 {
            service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
            service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
            service.settled().await;
            assert!(stored_parts(&service, &id).await.is_empty());
        }
    }
    let [(kept, removed), (kept_now, _)] = &lives[..] else { panic!("two lives") };
    let id = text(&kept["dynamodb"]["Keys"]["job_id"]["S"]);
    let deliver = async |records: &[&Value]| {
        let answer = function.invoke(&json!({ "Records": records })).await;
        assert_eq!(answer, Ok(json!({ "state": {}, "batchItemFailures": [] })));
    };
    deliver(&[removed]).await;
    shows(&job(&service, &id).await, 2);
    // A late record of the first life overwrites an attempt. The attempt shows again after its own record.
    deliver(&[kept, removed]).await;
    deliver(&[kept_now, kept_now]).await;
    shows(&job(&service, &id).await, 2);
    service.call("POST", &format!("/v1/jobs/{id}/cancel")).expect(200).await;
    service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    service.settled().await;
    assert!(stored_parts(&service, &id).await.is_empty());
}
