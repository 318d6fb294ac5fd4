//! Rates and usage: at most one write for a call, one write for each minute, one read for a report.

use jobledger::lambda::system_clock;
use jobledger_tests::alone::Request;
use jobledger_tests::capacity::write;
use jobledger_tests::clock;
use jobledger_tests::dynamo::text;
use jobledger_tests::keys::id_and_key;
use serde_json::json;

use super::CostFixture;

#[tokio::test]
async fn calls_of_a_limited_key_are_leased_many_at_a_time() {
    let fixture = CostFixture::start().await;
    let body =
        json!({ "owner": "default", "scopes": ["read"], "requests_per_minute": 60_000, "burst": 60_000 });
    let (_, key) = id_and_key(&fixture.service, &body).await;
    let lister = fixture.metered("list-jobs").await;
    let request = Request::new("GET", "/v1/jobs").header("authorization", &format!("Bearer {key}"));
    let (reply, bill) = lister.call(&fixture, &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    bill.show("a list: the first call of a limited key, which reads the key");
    lister.meter.take();
    lister.proxy.heal();
    for _ in 0..200 {
        assert_eq!(lister.function.call(&request).await.status, 200);
    }
    let bill = lister.bill(&fixture).await;
    bill.show("200 lists by a limited key");
    // On a slow machine a lease may end early. Each lease takes up to twice as many calls as the one before.
    assert!(bill.write <= 2 * 40, "{bill:?}");
}

#[tokio::test]
async fn an_occasional_call_costs_one_write_and_usage_one_a_minute() {
    let fixture = CostFixture::start().await;
    let (_, key) = id_and_key(&fixture.service, &json!({ "owner": "default", "scopes": ["read"] })).await;
    clock::set(system_clock());
    let getter = fixture.metered_by("get-job", clock::now).await;
    getter.proxy.show_usage();
    let request = Request::new("GET", "/v1/jobs/01981b5e-7c3a-7000-8000-000000000001")
        .route("GET /v1/jobs/{job_id}")
        .header("authorization", &format!("Bearer {key}"));
    assert_eq!(getter.function.call(&request).await.status, 404);
    getter.meter.take();
    getter.proxy.heal();
    // Ten minutes, with a call every 12 seconds.
    for _ in 0..50 {
        clock::set(clock::now().plus_millis(12_000));
        assert_eq!(getter.function.call(&request).await.status, 404);
    }
    let operations = getter.proxy.operations();
    let count = |name: &str| operations.iter().filter(|operation| *operation == name).count();
    println!(
        "50 calls in 10 minutes: {} writes of the rate, {} of usage",
        count("UpdateItem"),
        count("TransactWriteItems")
    );
    assert_eq!(count("UpdateItem"), 50);
    assert!(getter.meter.take().write_units <= 50.0);
    // Each write begins a minute. On a slow machine, a late one is sent once more.
    assert!((8..=12).contains(&count("TransactWriteItems")), "{operations:?}");
}

#[tokio::test]
async fn usage_is_a_write_for_many_calls_and_a_read_for_many_days() {
    let fixture = CostFixture::start().await;
    let reporter = fixture.metered("usage").await;
    let lister = fixture.metered("list-jobs").await;
    lister.proxy.show_usage();
    for _ in 0..100 {
        lister.function.call(&Request::new("GET", "/v1/jobs").route("GET /v1/jobs")).await;
    }
    lister.proxy.heal();
    lister.function.finish().await;
    assert_eq!(lister.proxy.operations(), ["TransactWriteItems"]);
    let table = fixture.service.stack.template().tables.iter().find(|table| table.id == "UsageTable");
    let table = table.expect("the table of usage");
    let items = fixture.dynamo.scan(&table.name).await;
    let day = items.iter().find(|item| text(item, "span").starts_with("day#")).expect("a day");
    assert_eq!(write(table, None, Some(day)).in_transaction_at_most(), 2 * 2, "in halves");

    let request = Request::new("GET", "/v1/usage");
    reporter.call(&fixture, &request).await;
    let (reply, bill) = reporter.call(&fixture, &request).await;
    assert_eq!(reply.at("/total_calls"), &json!(100), "{}", reply.text);
    bill.show("a report of usage");
    bill.within(1, 1, 0);
}
