//! `bytes` of a head: the stored size of its job's parts, whichever route wrote them.

use jobledger_tests::Service;
use jobledger_tests::dynamo::{Dynamo, Item, text};
use jobledger_tests::jobs::{create, ingest};
use serde_json::{Value, json};

/// The `bytes` of one job's head, and the stored size of its parts.
async fn said_and_stored(service: &Service, is_it: impl Fn(&Item) -> bool) -> (u64, u64) {
    let table = service.stack.environment("get-job").expect("the function").vars["JOBS_TABLE"].clone();
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&table).await;
    let head = items.iter().find(|item| text(item, "part") == "head" && is_it(item)).expect("the head");
    let said = head.get("bytes").map_or("0", |bytes| bytes["N"].as_str().expect("a number"));
    let is_part =
        |item: &&Item| text(item, "job_id") == text(head, "job_id") && text(item, "part").contains('#');
    let stored = items.iter().filter(is_part).map(|part| {
        let base64 = ["json", "zstd"].iter().find_map(|name| part.get(*name)).expect("what it keeps");
        let base64 = base64["B"].as_str().expect("bytes");
        let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
        (base64.len() / 4 * 3 - padding) as u64
    });
    (said.parse().expect("a number"), stored.sum())
}

#[tokio::test]
async fn the_stored_bytes_of_a_created_job_follow_from_its_input() {
    let service = Service::start().await;
    let check = async |body: Value, expect: std::ops::RangeInclusive<u64>| {
        let id = create(&service, &body).await;
        let (said, stored) = said_and_stored(&service, |head| text(head, "job_id") == id).await;
        assert_eq!(said, stored, "{body}");
        assert!(expect.contains(&said), "{said}");
    };
    check(json!({ "type": "a", "name": "nothing beside the head" }), 0..=0).await;
    let exact = r#"{"payload":[1,2],"metadata":{"a":"b"}}"#.len() as u64;
    check(json!({ "type": "a", "payload": [1, 2], "metadata": { "a": "b" } }), exact..=exact).await;
    // The part is compressed if that saves a unit. Its stored size counts, not the size that was sent.
    check(json!({ "type": "a", "payload": "the same again, ".repeat(1_000) }), 1..=1_023).await;
}

#[tokio::test]
async fn the_stored_bytes_of_an_ingested_job_follow_from_its_last_line() {
    let service = Service::start().await;
    let line = |more: &Value| {
        let mut job = json!({
            "external_id": "1", "type": "a", "status": "completed", "started_at": "2026-01-01T00:00:00Z",
            "completed_at": "2026-01-01T00:00:01Z",
        });
        for (name, value) in more.as_object().expect("an object") {
            job[name] = value.clone();
        }
        json!([job])
    };
    for (more, went_in, expect) in [
        (json!({ "payload": "p", "result": "r" }), [1, 0, 0, 0], 15 + 14),
        (json!({ "payload": "p", "result": "r" }), [0, 0, 1, 0], 15 + 14),
        (json!({ "payload": "longer" }), [0, 1, 0, 0], 20),
        (json!({ "timings": { "a": 1.5 }, "metadata": {} }), [0, 1, 0, 0], 21 + 15),
        (json!({ "priority": 1 }), [0, 1, 0, 0], 0),
    ] {
        assert_eq!(ingest(&service, &line(&more)).await, went_in, "{more}");
        assert_eq!(said_and_stored(&service, |_| true).await, (expect, expect), "{more}");
    }
    // Also for a job that was created by itself.
    create(&service, &json!({ "type": "a", "external_id": "2", "payload": 12_345 })).await;
    let second = |head: &Item| text(head, "external_id") == "2";
    assert_eq!(said_and_stored(&service, second).await, (17, 17));
    let mut line = line(&json!({ "result": [] }));
    line[0]["external_id"] = json!("2");
    // The job was created just now, after these times.
    line[0]["started_at"] = json!(null);
    line[0]["completed_at"] = json!(jobledger::lambda::system_clock());
    assert_eq!(ingest(&service, &line).await, [0, 1, 0, 0]);
    assert_eq!(said_and_stored(&service, second).await, (13, 13));
}
