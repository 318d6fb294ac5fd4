//! Jobs that are not due yet: as filters, in counts, in the list of types, and on `/metrics`.

use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::jobs::create;
use jobledger_tests::metrics::Samples;
use serde_json::{Value, json};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Times from now at which jobs are due, from the same minute to years later.
const AHEAD: [i64; 9] = [
    20_000,
    5 * MINUTE_MS,
    40 * MINUTE_MS,
    3 * HOUR_MS,
    20 * HOUR_MS,
    2 * DAY_MS,
    29 * DAY_MS,
    70 * DAY_MS,
    4_000 * DAY_MS,
];

fn ahead(millis: i64) -> Timestamp {
    system_clock().plus_millis(millis)
}

async fn create_at(service: &Service, kind: &str, due: Timestamp) -> String {
    create(service, &json!({ "type": kind, "available_at": due })).await
}

async fn counted(service: &Service, query: &str) -> Value {
    service.get(&format!("/v1/jobs/count?{query}")).expect(200).await.json
}

/// The numbers of due, scheduled and retrying jobs, in all answers that tell them.
#[track_caller]
fn waits(service: &Service, expect: [u64; 3]) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        service.settled().await;
        let [due, scheduled, retrying] = expect;
        let whole = counted(service, "type=a&by=state").await;
        let by_state = &whole["by_state"];
        let told = ["due", "scheduled", "retrying"].map(|word| by_state[word].as_u64().unwrap_or(99));
        assert_eq!(told, expect, "{caller}: {whole}");
        let sum: u64 = by_state.as_object().expect("states").values().filter_map(Value::as_u64).sum();
        assert_eq!(whole["total"], sum, "{caller}: {whole}");
        for (words, expect) in [
            ("due", due),
            ("scheduled", scheduled),
            ("retrying", retrying),
            ("delayed", scheduled + retrying),
            ("due,retrying", due + retrying),
        ] {
            let found = counted(service, &format!("type=a&status={words}")).await;
            assert_eq!(
                (&found["total"], &found["total_kind"]),
                (&json!(expect), &json!("exact")),
                "{caller}: {words}"
            );
            assert_eq!(found["by_status"]["queued"], expect, "{caller}: {words}");
            for limit in [1, 100] {
                let page = service
                    .get(&format!("/v1/jobs?type=a&status={words}&limit={limit}"))
                    .expect(200)
                    .await
                    .json;
                assert_eq!(
                    (&page["total"], &page["total_kind"]),
                    (&json!(expect), &json!("exact")),
                    "{caller}: {page}"
                );
            }
        }
        let types = service.get("/v1/types").expect(200).await.json;
        let of_a = types["types"]
            .as_array()
            .expect("types")
            .iter()
            .find(|kind| kind["type"] == "a")
            .expect("the type");
        let told = ["due", "scheduled", "retrying"].map(|word| of_a[word].as_u64().unwrap_or(99));
        assert_eq!((told, &of_a["due_kind"]), (expect, &json!("exact")), "{caller}: {of_a}");
    }
}

#[tokio::test]
async fn jobs_are_counted_by_how_they_wait() {
    let service = Service::start().await;
    for millis in [0, -HOUR_MS] {
        create(&service, &json!({ "type": "a", "available_at": ahead(millis), "max_attempts": 3 })).await;
    }
    create_at(&service, "b", ahead(HOUR_MS)).await;
    let mut ids = Vec::new();
    for millis in AHEAD {
        ids.push(create_at(&service, "a", ahead(millis)).await);
    }
    waits(&service, [2, 9, 0]).await;

    // A job that fails waits for its next attempt.
    service.call("PUT", "/v1/types/a").json(&json!({ "backoff_seconds": 3_600 })).expect(200).await;
    let claim = json!({ "worker_id": "w", "types": ["a"] });
    let claimed = service.post("/v1/jobs/claim", &claim).expect(200).await;
    let (failed, token) = (claimed.at("/jobs/0/job_id").clone(), claimed.at("/jobs/0/lease_token").clone());
    let report = json!({ "lease_token": token, "status": "failed", "error": "no", "retryable": true });
    let path = format!("/v1/jobs/{}", failed.as_str().expect("an id"));
    service.call("PATCH", &path).json(&report).expect(200).await;
    waits(&service, [1, 9, 1]).await;

    // Jobs are moved, cancelled and deleted while they wait.
    let change = |id: &str, due: Timestamp| {
        service.call("PATCH", &format!("/v1/jobs/{id}")).json(&json!({ "available_at": due })).expect(200)
    };
    change(&ids[3], ahead(0)).await;
    change(&ids[4], ahead(50 * DAY_MS)).await;
    change(&ids[5], ahead(MINUTE_MS + 1)).await;
    service.call("POST", &format!("/v1/jobs/{}/cancel", ids[6])).expect(200).await;
    service.call("DELETE", &format!("/v1/jobs/{}", ids[7])).expect(200).await;
    waits(&service, [2, 6, 1]).await;

    let words = "cannot be state together with dates";
    for query in ["created_after=2026-01-01", "priority=3", "label.a=b", "search=x"] {
        let reply = service.get(&format!("/v1/jobs/count?by=state&{query}")).expect(422).await;
        assert!(reply.text.contains(words), "{query}: {}", reply.text);
    }
}

/// The numbers of a type on `/metrics`.
async fn shown(service: &Service, kind: &str) -> [u64; 3] {
    service.settled().await;
    let samples = Samples::scrape(service).await;
    ["due", "scheduled", "retrying"]
        .map(|state| samples.count(&format!("jobledger_queue_jobs{{type=\"{kind}\",state=\"{state}\"}}")))
}

#[tokio::test]
async fn metrics_show_how_jobs_wait_before_and_after_they_become_due() {
    let service = Service::start().await;
    create(&service, &json!({ "type": "a" })).await;
    for millis in [HOUR_MS, HOUR_MS, 30 * DAY_MS] {
        create_at(&service, "a", ahead(millis)).await;
    }
    create_at(&service, "soon", ahead(HOUR_MS)).await;
    assert_eq!(shown(&service, "a").await, [1, 3, 0], "before the reaper's first run");

    let reaper = async |clock: fn() -> Timestamp| {
        let names = service.environment_at("reap-leases", service.stack.dynamodb_endpoint());
        let environment = jobledger::Environment { clock, ..names };
        let alone = jobledger_tests::alone::Alone::start("reap-leases", environment).await;
        alone.invoke(&json!({})).await.expect("a look")
    };
    reaper(system_clock).await;
    assert_eq!(shown(&service, "a").await, [1, 3, 0], "nothing became due");
    reaper(|| ahead(2 * HOUR_MS)).await;
    assert_eq!(shown(&service, "a").await, [3, 1, 0], "two became due");
    assert_eq!(shown(&service, "soon").await, [1, 0, 0]);
    // Jobs that come after the reaper's look are told apart at once.
    create(&service, &json!({ "type": "a" })).await;
    create_at(&service, "a", ahead(40 * DAY_MS)).await;
    assert_eq!(shown(&service, "a").await, [4, 2, 0]);
    // A type that is new since then has its numbers, too.
    create_at(&service, "new", ahead(HOUR_MS)).await;
    assert_eq!(shown(&service, "new").await, [0, 1, 0]);
}

#[tokio::test]
async fn counts_of_jobs_that_were_due_leave_the_table() {
    let service = Service::start().await;
    create_at(&service, "a", ahead(DAY_MS)).await;
    service.settled().await;
    let dynamo = jobledger_tests::dynamo::Dynamo::at(service.stack.dynamodb_endpoint());
    let names = service.stack.environment("tally-jobs").expect("the function");
    let items = dynamo.scan(&names.vars["TALLIES_TABLE"]).await;
    let planned =
        items.iter().filter(|item| item["bucket"]["S"].as_str().is_some_and(|name| name.starts_with("due-")));
    let ends: Vec<i64> = planned
        .map(|item| item["expires_at"]["N"].as_str().expect("an end").parse().expect("a number"))
        .collect();
    let least = ahead(DAY_MS).seconds_ceil();
    assert_eq!(ends.len(), 3);
    assert!(ends.iter().all(|end| *end > least), "{ends:?}, not after {least}");
}
