//! Records: the cost of put, read, delete and count; and of the scrape.

use jobledger_tests::alone::Request;
use jobledger_tests::capacity::write;
use jobledger_tests::dynamo::Item;
use jobledger_tests::stream::{event, raw_record};
use serde_json::json;

use super::{Bill, CostFixture, Metered};

fn put(id: &str, status: &str) -> Request {
    let body = json!({ "status": status, "job_id": "01981b5e-7c3a-7000-8000-000000000001" });
    Request::new("PUT", &format!("/v1/records/source/{id}")).body(body.to_string())
}

/// Calls, and compares the cost with the changed items.
async fn changed(fixture: &CostFixture, function: &Metered, request: &Request, status: u16) -> Bill {
    let table = fixture.table("RecordsTable");
    let before = fixture.dynamo.scan(&table.name).await;
    let (reply, bill) = function.call(fixture, request).await;
    assert_eq!(reply.status, status, "{}", reply.text);
    let after = fixture.dynamo.scan(&table.name).await;
    assert_eq!(bill.write, super::written(&table, &before, &after));
    bill
}

#[tokio::test]
async fn a_record_is_one_unit() {
    let fixture = CostFixture::start().await;
    let function = fixture.metered("record").await;
    let (_, bill) = function.call(&fixture, &put("0", "new")).await;
    bill.show("record: the first call, which reads the key");
    bill.within(2, 1, 1);
    for (what, request, status) in [
        ("put a new record", put("1", "new"), 201),
        ("put a record in another status", put("1", "ready"), 200),
        ("delete a record", Request::new("DELETE", "/v1/records/source/1"), 200),
    ] {
        let bill = changed(&fixture, &function, &request, status).await;
        bill.show(what);
        bill.within(1, 0, 1);
    }
    let (reply, bill) = function.call(&fixture, &Request::new("GET", "/v1/records/source/0")).await;
    assert_eq!(reply.status, 200);
    bill.show("get a record");
    bill.within(1, 1, 0);
}

fn image(id: usize, status: &str) -> Item {
    let item = json!({
        "record": { "S": format!("ann#source#{id}") }, "owner": { "S": "ann" }, "kind": { "S": "source" },
        "id": { "S": id.to_string() }, "status": { "S": status }, "made_by": { "S": "x" },
        "created_at": { "N": "1769898600000" }, "updated_at": { "N": "1769898600000" },
    });
    item.as_object().cloned().expect("an item")
}

#[tokio::test]
async fn counting_a_thousand_writes_is_within_its_cost() {
    let fixture = CostFixture::start().await;
    let counter = fixture.metered("tally-jobs").await;
    let records: Vec<_> = (0..1_000)
        .map(|number| {
            let keys = json!({ "record": { "S": format!("ann#source#{}", number / 2) } });
            let new = image(number / 2, if number % 2 == 0 { "new" } else { "ready" });
            raw_record(number, &keys, (number % 2 == 1).then(|| image(number / 2, "new")), Some(new))
        })
        .collect();
    // The first commit of an environment also notes the owner. This is a later commit.
    counter.invoke(&fixture, &event("shard-before", &records[..1])).await;
    let before = fixture.tallies().await;
    let bill = counter.invoke(&fixture, &event("shard", &records)).await;
    let after = fixture.tallies().await;
    let costs = super::changed(&fixture.tallies, &before, &after).into_iter();
    let most: usize =
        costs.map(|(old, new)| write(&fixture.tallies, old, new).in_transaction_at_most()).sum();
    assert_eq!(bill.write, most);
    bill.show("count 1,000 writes of records of one kind, in two statuses");
    // All records left the first status, so both its counts may be 0. The counter deletes both at the same time.
    assert_eq!(bill.requests, 2 + 2);
    bill.within(3, 1, 10);
}

#[tokio::test]
async fn counts_cost_the_same_with_ten_times_the_records() {
    let fixture = CostFixture::start().await;
    let (totals, scraper) = (fixture.metered("get-record-count").await, fixture.metered("metrics").await);
    let (writer, mut bills) = (fixture.metered("record").await, Vec::new());
    for numbers in [0..60, 60..600] {
        for number in numbers.clone() {
            // As many kinds and statuses as are usual at most.
            let (kind, status) = (number % 6, number % 5);
            let request = Request::new("PUT", &format!("/v1/records/kind-{kind}/{number}"))
                .body(json!({ "status": format!("status-{status}") }).to_string());
            assert_eq!(writer.call(&fixture, &request).await.0.status, 201);
        }
        fixture.service.settled().await;
        for (function, what, path, most) in [
            (&totals, "count of records", "/v1/records/count", 1),
            (&totals, "count of records of a kind", "/v1/records/count?kind=kind-3", 1),
            (&scraper, "scrape with records", "/metrics", 8),
        ] {
            // The first call reads the key, or sends a probe.
            function.call(&fixture, &Request::new("GET", path)).await;
            let (reply, bill) = function.call(&fixture, &Request::new("GET", path)).await;
            assert_eq!(reply.status, 200, "{}", reply.text);
            bill.show(&format!("{what}, of {}", numbers.end));
            bill.within(1, most, 0);
            bills.push(bill);
        }
        fixture.service.settled().await;
    }
    assert_eq!(bills[..3], bills[3..]);
}
