//! More kinds and statuses of records, or types of jobs, than a scrape shows: callers may create any number of them.

use futures_util::stream::{self, StreamExt};
use jobledger::counts::{MAX_RECORD_SERIES, MAX_RECORD_SERIES_OF_OWNER};
use jobledger_tests::Service;
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::jobs::{create, ingest};
use jobledger_tests::keys::add_key;
use jobledger_tests::metrics::{Samples, is_well_formed};
use jobledger_tests::stored::tables;
use serde_json::json;

/// One more kind than a scrape shows.
const FLOOD: usize = MAX_RECORD_SERIES + 1;
/// Most types of jobs that a scrape shows.
const MAX_TYPES: usize = 500;
/// Requests of one caller in flight.
const AT_ONCE: usize = 16;
/// The key of the flood, which may only write.
const KEY: &str = "flooder";

/// Records of three owners, and a job.
async fn others(service: &Service) {
    create(service, &json!({ "type": "a" })).await;
    for (path, status) in [
        ("source/1?owner=ann", "ready"),
        ("source/2?owner=ann", "failed"),
        ("source/1?owner=bob", "ready"),
        ("zebra/1?owner=bob", "seen"),
    ] {
        let call = service.call("PUT", &format!("/v1/records/{path}"));
        call.json(&json!({ "status": status })).expect(201).await;
    }
    add_key(service, KEY, "aaa", &["write"], None).await;
}

/// Creates or deletes a record in each of many kinds. Their names sort before all others.
async fn flood(service: &Service, method: &str, status: u16) {
    let calls = (0..FLOOD).map(|number| {
        let path = format!("/v1/records/aaa-{number}/1");
        service.anonymous(method, &path).header("x-api-key", KEY).expect(status)
    });
    let calls: Vec<_> = calls.map(async |call| drop(call.await)).collect();
    stream::iter(calls).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    service.settled().await;
}

/// The scrape shows the other owners' records, whatever the flood does.
fn shows_the_others(samples: &Samples) {
    for (kind, status, count) in [("source", "ready", "2"), ("source", "failed", "1"), ("zebra", "seen", "1")]
    {
        samples.check(&format!("jobledger_records{{kind=\"{kind}\",status=\"{status}\"}}"), count);
    }
    samples.check("jobledger_jobs_created_total{type=\"a\"}", "1");
}

#[tokio::test]
async fn many_statuses_of_one_owner_do_not_hide_records_of_others() {
    let service = Service::start().await;
    others(&service).await;
    flood(&service, "PUT", 201).await;
    // The flood also has a kind of the other owners. The sum is over all owners, whichever the scrape shows.
    let call = service.anonymous("PUT", "/v1/records/source/9").header("x-api-key", KEY);
    call.json(&json!({ "status": "failed" })).expect(201).await;
    service.call("DELETE", "/v1/records/source/2?owner=ann").expect(200).await;
    let call = service.call("PUT", "/v1/records/source/2?owner=bob");
    call.json(&json!({ "status": "failed" })).expect(201).await;
    let call = service.call("DELETE", "/v1/records/source/9?owner=aaa");
    call.expect(200).await;
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    shows_the_others(&samples);
    samples.check("jobledger_records_cut", "1");
    assert_eq!(samples.of("jobledger_records{").count(), MAX_RECORD_SERIES_OF_OWNER + 3);
    is_well_formed(&service).await;

    flood(&service, "DELETE", 200).await;
    let samples = Samples::scrape(&service).await;
    shows_the_others(&samples);
    samples.check("jobledger_records_cut", "0");
    assert_eq!(samples.of("jobledger_records{").count(), 3);
    // No count of the flood is left to be read.
    let table = tables(&service).await.1.tables.tallies;
    let items = Dynamo::at(service.stack.dynamodb_endpoint()).scan(&table).await;
    let left = items.iter().filter(|item| text(item, "bucket").starts_with("records#aaa")).count();
    assert_eq!(left, 0);
}

/// Items of counts at 0: the scrape does not show them, and they do not count for the limit.
#[tokio::test]
async fn statuses_without_records_do_not_count_for_the_limit() {
    let service = Service::start().await;
    others(&service).await;
    service.settled().await;
    let table = tables(&service).await.1.tables.tallies;
    let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
    for number in 0..FLOOD {
        let item = json!({
            "scope": { "S": "*" }, "bucket": { "S": format!("records#aaa-{number}#") }, "records": { "N": "0" },
        });
        dynamo.put(&table, item.as_object().expect("an item")).await;
    }
    let samples = Samples::scrape(&service).await;
    shows_the_others(&samples);
    samples.check("jobledger_records_cut", "0");
    assert_eq!(samples.of("jobledger_records{").count(), 3);
}

#[tokio::test]
async fn many_types_of_one_owner_do_not_hide_types_with_more_jobs() {
    let service = Service::with(&[("TypesPerOwner", "1000")]).await;
    for _ in 0..2 {
        create(&service, &json!({ "type": "zebra" })).await;
    }
    let jobs = (0..MAX_TYPES + 5).map(|number| {
        json!({
            "external_id": number.to_string(), "type": format!("aaa-{number:03}"), "status": "completed",
            "created_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:01:00Z",
        })
    });
    let [created, ..] = ingest(&service, &jobs.collect()).await;
    assert_eq!(created, 505);
    service.settled().await;
    let samples = Samples::scrape(&service).await;
    samples.check("jobledger_types_left_out", "6");
    samples.check("jobledger_jobs_created_total{type=\"zebra\"}", "2");
    samples.check("jobledger_jobs_created_total{type=\"aaa-498\"}", "1");
    assert_eq!(samples.of("jobledger_jobs_created_total{").count(), MAX_TYPES);
    assert_eq!(samples.of("jobledger_job_run_seconds_count{").count(), MAX_TYPES);
    is_well_formed(&service).await;
}
