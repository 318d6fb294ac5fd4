//! Strangers who try keys: they cost little, and do not slow those who are known.

use std::collections::BTreeMap;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::Service;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::Proxy;
use jobledger_tests::keys::{add_key, id_and_key};
use serde_json::json;

/// More keys than an execution environment remembers.
const FLOOD: usize = 1_100;

fn with_key(text: &str) -> Request {
    Request::new("GET", "/v1/jobs/no-id").header("authorization", &format!("Bearer {text}"))
}

async fn behind(service: &Service, name: &str) -> (Proxy, Alone) {
    let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
    let function = Alone::start(name, service.environment_at(name, proxy.url())).await;
    proxy.heal();
    (proxy, function)
}

fn reads_of_keys(proxy: &Proxy) -> usize {
    proxy.seen().iter().filter(|seen| seen.body["Key"]["kind"]["S"] == "keys").count()
}

/// How many reads each partition of the settings had.
fn reads_by_partition(proxy: &Proxy) -> BTreeMap<String, usize> {
    let mut reads = BTreeMap::new();
    for kind in proxy.seen().iter().filter_map(|seen| seen.body["Key"]["kind"]["S"].as_str()) {
        *reads.entry(kind.to_owned()).or_default() += 1;
    }
    reads
}

/// Runs the schedule that marks all keys.
async fn mark_all(service: &Service, clock: fn() -> Timestamp, event: &str) {
    let environment = service.environment_at("schedule-recount", service.stack.dynamodb_endpoint());
    let function = Alone::start("schedule-recount", Environment { clock, ..environment }).await;
    function.invoke(&json!({ "id": event })).await.expect("a recount");
}

fn a_day_ago() -> Timestamp {
    system_clock().plus_hours(-24)
}

#[tokio::test]
async fn strangers_are_spread_over_partitions_away_from_the_keys() {
    let service = Service::start().await;
    let key = json!({ "owner": "default", "scopes": ["read"] });
    let (_, known) = id_and_key(&service, &key).await;
    // A key that an older version wrote has no mark.
    add_key(&service, "old", "default", &["read"], None).await;
    for (clock, event) in [(a_day_ago as fn() -> Timestamp, "1"), (system_clock, "2")] {
        mark_all(&service, clock, event).await;
    }
    let (proxy, function) = behind(&service, "get-job").await;
    for number in 0..FLOOD {
        assert_eq!(function.call(&with_key(&format!("stranger-{number}"))).await.status, 401);
    }
    let reads = reads_by_partition(&proxy);
    // Ten, until the function has met so many; and as many again for each further minute that the test may take.
    assert!(reads["keys"] <= 50, "{reads:?}");
    let marks = reads.iter().filter(|(kind, _)| kind.starts_with("key-marks-"));
    let marks: Vec<usize> = marks.map(|(_, reads)| *reads).collect();
    assert_eq!((marks.len(), marks.iter().sum::<usize>() + reads["keys"]), (16, FLOOD), "{reads:?}");
    assert!(marks.iter().all(|reads| *reads < FLOOD / 8), "{reads:?}");
    // Known keys are found meanwhile: one that was made before, one of an older version, and one that is made now.
    let (_, new) = id_and_key(&service, &key).await;
    for text in [known.as_str(), "old", &new] {
        assert_eq!(function.call(&with_key(text)).await.status, 422, "{text}");
    }
}

/// Two versions run at once: an older one makes a key without a mark, after the first time that all keys were marked.
#[tokio::test]
async fn a_key_without_a_mark_is_found_until_marks_are_believed() {
    let service = Service::start().await;
    mark_all(&service, system_clock, "1").await;
    mark_all(&service, system_clock, "2").await;
    add_key(&service, "old", "default", &["read"], None).await;
    let (proxy, function) = behind(&service, "get-job").await;
    for number in 0..20 {
        assert_eq!(function.call(&with_key(&format!("stranger-{number}"))).await.status, 401);
    }
    assert_eq!(function.call(&with_key("old")).await.status, 422);
    assert_eq!(reads_of_keys(&proxy), 21);
}

#[tokio::test]
async fn a_text_that_is_no_key_is_refused_unread() {
    let service = Service::start().await;
    let (_, key) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let (proxy, function) = behind(&service, "get-job").await;
    let upper = key.replace("jobledger_", "").to_uppercase();
    for wrong in [&key[..key.len() - 1], &format!("{key}0"), &format!("jobledger_{upper}"), "jobledger_"] {
        assert_eq!(function.call(&with_key(wrong)).await.status, 401, "{wrong}");
        assert_eq!(reads_of_keys(&proxy), 0, "{wrong}");
    }
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    assert_eq!(reads_of_keys(&proxy), 1);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_does_not_drive_out_a_known_key() {
    let service = Service::start().await;
    let (_, key) = id_and_key(&service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    let (proxy, function) = behind(&service, "get-job").await;
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    for number in 0..FLOOD {
        assert_eq!(function.call(&with_key(&format!("stranger-{number}"))).await.status, 401);
    }
    let before = reads_of_keys(&proxy);
    assert_eq!(before, FLOOD + 1, "each is looked for once");
    assert_eq!(function.call(&with_key(&key)).await.status, 422);
    assert_eq!(reads_of_keys(&proxy), before);
}
