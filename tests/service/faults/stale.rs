//! Eventually consistent reads return old data here. The answers about jobs must be true all the same.

use jobledger_tests::alone::Request;
use jobledger_tests::dynamo::Item;
use jobledger_tests::faults::{Fault, Seen};
use jobledger_tests::jobs::went_in;
use serde_json::{Value, json};

use super::{FaultFixture, ProxiedFunction};

const LINES: usize = 3;

fn ingest(name: &str) -> Request {
    let line = |number: usize| {
        json!({
            "external_id": number.to_string(), "type": "render", "status": "completed",
            "completed_at": "2026-03-01T00:00:00Z", "name": name,
        })
    };
    let lines: Vec<Value> = (0..LINES).map(line).collect();
    Request::new("POST", "/v1/admin/ingest/jobs").body(json!(lines).to_string())
}

/// Answers each read of heads that is not strongly consistent with these old heads.
fn as_it_was(table: String, heads: Vec<Item>) -> impl FnMut(&Seen) -> Fault + Send + 'static {
    move |seen| {
        let asked = &seen.body["RequestItems"][&table];
        if seen.operation != "BatchGetItem" || asked["ConsistentRead"] == json!(true) {
            return Fault::None;
        }
        let ids: Vec<&Value> =
            asked["Keys"].as_array().into_iter().flatten().map(|key| &key["job_id"]).collect();
        let found: Vec<&Item> = heads.iter().filter(|head| ids.contains(&&head["job_id"])).collect();
        Fault::Answered(200, json!({ "Responses": { &table: found }, "UnprocessedKeys": {} }))
    }
}

async fn names(fixture: &FaultFixture) -> Vec<String> {
    let name = |head: &Item| head["name"]["S"].as_str().expect("a name").to_owned();
    fixture.heads().await.values().map(name).collect()
}

async fn behind_with(fixture: &FaultFixture, name: &str) -> ProxiedFunction {
    let behind = fixture.behind("ingest-jobs").await.knows_the_key().await;
    assert_eq!(went_in(&behind.call(&ingest(name)).await), [LINES as u64, 0, 0, 0]);
    behind
}

/// Deletes the jobs. From now on, eventually consistent reads return them as before.
async fn deleted(fixture: &FaultFixture, behind: &ProxiedFunction) {
    let before: Vec<Item> = fixture.heads().await.into_values().collect();
    for id in fixture.heads().await.into_keys() {
        fixture.service.call("DELETE", &format!("/v1/jobs/{id}")).expect(200).await;
    }
    behind.proxy.plan(as_it_was(fixture.jobs.clone(), before));
}

#[tokio::test]
async fn a_line_is_not_unchanged_because_a_stale_read_says_so() {
    let fixture = FaultFixture::start().await;
    let behind = behind_with(&fixture, "a").await;
    let before: Vec<Item> = fixture.heads().await.into_values().collect();
    assert_eq!(went_in(&behind.call(&ingest("b")).await), [0, LINES as u64, 0, 0]);
    behind.proxy.plan(as_it_was(fixture.jobs.clone(), before));
    let reply = behind.call(&ingest("a")).await;
    assert_eq!(went_in(&reply), [0, LINES as u64, 0, 0], "{}", reply.text);
    assert_eq!(names(&fixture).await, ["a"; LINES]);
}

#[tokio::test]
async fn a_line_of_a_deleted_job_creates_it_again() {
    let fixture = FaultFixture::start().await;
    let behind = behind_with(&fixture, "a").await;
    deleted(&fixture, &behind).await;
    let reply = behind.call(&ingest("a")).await;
    assert_eq!(went_in(&reply), [LINES as u64, 0, 0, 0], "{}", reply.text);
    assert_eq!(names(&fixture).await, ["a"; LINES]);
}

/// The function rejects a line only for the job that is stored now. Here the job had ended and was deleted.
#[tokio::test]
async fn a_line_is_not_rejected_because_a_stale_read_says_so() {
    let fixture = FaultFixture::start().await;
    let behind = behind_with(&fixture, "a").await;
    deleted(&fixture, &behind).await;
    let queued = json!([{ "external_id": "0", "type": "render", "status": "queued" }]);
    let reply = behind.call(&Request::new("POST", "/v1/admin/ingest/jobs").body(queued.to_string())).await;
    assert_eq!(went_in(&reply), [1, 0, 0, 0], "{}", reply.text);
}
