//! Rates and usage: a fraction of a write for each call, a write for each ten seconds, a read for a report.

use jobledger_tests::alone::Request;
use jobledger_tests::capacity::write;
use jobledger_tests::dynamo::text;
use serde_json::json;

use super::House;
use crate::rates::make_key;

#[tokio::test]
async fn calls_of_a_limited_key_are_leased_many_at_a_time() {
    let house = House::start().await;
    let rate = json!({ "requests_per_minute": 60_000 });
    let (key, _) = make_key(&house.service, &["read"], &rate).await;
    let lister = house.metered("list-jobs").await;
    let request = Request::new("GET", "/v1/jobs").header("authorization", &format!("Bearer {key}"));
    let (reply, bill) = lister.call(&house, &request).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    bill.show("a list: the first call of a limited key, which reads the key");
    lister.meter.take();
    lister.proxy.heal();
    for _ in 0..200 {
        assert_eq!(lister.function.call(&request).await.status, 200);
    }
    let bill = lister.bill(&house).await;
    bill.show("200 lists by a limited key");
    // A lease may end where the machine is slow; each takes up to twice as many as the last one.
    assert!(bill.write <= 2 * 40, "{bill:?}");
}

#[tokio::test]
async fn usage_is_a_write_for_many_calls_and_a_read_for_many_days() {
    let house = House::start().await;
    let reporter = house.metered("usage").await;
    let lister = house.metered("list-jobs").await;
    lister.proxy.show_usage();
    for _ in 0..100 {
        lister.function.call(&Request::new("GET", "/v1/jobs").route("GET /v1/jobs")).await;
    }
    lister.proxy.heal();
    lister.function.finish().await;
    assert_eq!(lister.proxy.operations(), ["TransactWriteItems"]);
    let table = house.service.stack.template().tables.iter().find(|table| table.id == "UsageTable");
    let table = table.expect("the table of usage");
    let items = house.dynamo.scan(&table.name).await;
    let day = items.iter().find(|item| text(item, "span").starts_with("day#")).expect("a day");
    assert_eq!(write(table, None, Some(day)).in_transaction_at_most(), 2 * 2, "in halves");

    let request = Request::new("GET", "/v1/usage");
    reporter.call(&house, &request).await;
    let (reply, bill) = reporter.call(&house, &request).await;
    assert_eq!(reply.at("/total_calls"), &json!(100), "{}", reply.text);
    bill.show("a report of usage");
    bill.within(1, 1, 0);
}
