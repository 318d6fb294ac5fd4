//! Lists: pages, totals, dates and offsets; and that their cost is the same with ten times the jobs.

use jobledger_tests::alone::Request;
use serde_json::{Value, json};

use super::{Bill, CostFixture, Metered, completed};

/// Jobs of an hour; more jobs take more hours.
const AN_HOUR: usize = 20;
/// Jobs of the first measurement.
const FEW: usize = 100;
/// Jobs of the second measurement.
const MANY: usize = 1_000;

fn jobs(numbers: std::ops::Range<usize>) -> Vec<Value> {
    // From the newest hour backwards, so that the added jobs are older than the first ones.
    numbers.map(|number| completed(number, 60 * (MANY - number - 1) / AN_HOUR)).collect()
}

/// Lists, and compares the total with the known number.
async fn list(fixture: &CostFixture, lister: &Metered, query: &str, total: usize) -> Bill {
    let (reply, bill) = lister.call(fixture, &Request::new("GET", &format!("/v1/jobs?{query}"))).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.at("/total"), &json!(total), "{query}");
    bill.show(&format!("list {query}, of {total}"));
    bill
}

#[tokio::test]
async fn a_page_costs_the_same_with_ten_times_the_jobs() {
    let fixture = CostFixture::start().await;
    let lister = fixture.metered("list-jobs").await;
    let queries = [
        "limit=50",
        "limit=50&type=render",
        "limit=50&status=completed",
        "limit=50&type=render&status=completed",
        "limit=50&sort_order=asc",
    ];
    let mut few = Vec::new();
    fixture.ingest(&jobs(0..FEW)).await;
    list(&fixture, &lister, "limit=1", FEW).await;
    for query in queries {
        few.push(list(&fixture, &lister, query, FEW).await);
    }
    fixture.ingest(&jobs(FEW..MANY)).await;
    for (query, few) in queries.into_iter().zip(few) {
        let many = list(&fixture, &lister, query, MANY).await;
        assert_eq!(many, few, "{query}");
        many.within(2, 8, 0);
    }
    let bill = list(&fixture, &lister, "limit=50&status=queued,completed", MANY).await;
    bill.within(2, 8, 0);
}

/// The whole hours of a range come from buckets; the cut hours at its ends come from the index.
#[tokio::test]
async fn a_list_between_dates_costs_no_more_than_its_ends() {
    let fixture = CostFixture::start().await;
    let lister = fixture.metered("list-jobs").await;
    fixture.ingest(&jobs(0..MANY)).await;
    list(&fixture, &lister, "limit=1", MANY).await;
    // The jobs lie in the hours from 2026-03-02T00 to 2026-03-04T01, at each third minute.
    let whole =
        list(&fixture, &lister, "limit=50&created_after=2026-03-02&created_before=2026-03-03", 48 * 20).await;
    whole.within(2, 8, 0);
    let cut = "limit=50&created_after=2026-03-02T10:30:00Z&created_before=2026-03-03T20:29:59Z";
    let cut = list(&fixture, &lister, cut, 34 * 20).await;
    cut.within(2, 16, 0);
}

/// The function finds a page's place from the buckets: by months, days and hours, and then within one hour.
#[tokio::test]
async fn a_page_at_any_offset_costs_no_more_than_one_hours_jobs() {
    let fixture = CostFixture::start().await;
    let lister = fixture.metered("list-jobs").await;
    fixture.ingest(&jobs(0..MANY)).await;
    list(&fixture, &lister, "limit=1", MANY).await;
    let mut most = 0;
    for offset in [50, 199, 500, 751, 949] {
        let bill = list(&fixture, &lister, &format!("limit=50&offset={offset}"), MANY).await;
        bill.within(4, 8, 0);
        most = most.max(bill.read);
    }
    let shallow = list(&fixture, &lister, "limit=50&offset=55", MANY).await;
    // A deep page reads as many kinds of buckets as a shallow one, and before its page up to an hour's jobs.
    assert!(most <= shallow.read + 4, "{most} halves against {}", shallow.read);
    let past = list(&fixture, &lister, "limit=50&offset=999999", MANY).await;
    past.within(4, 8, 0);
}

/// The page and the total of a list share their lookups: ids, ranges, totals. No request counts rows again that
/// the page has read.
#[tokio::test]
async fn a_list_sends_no_request_twice() {
    let fixture = CostFixture::start().await;
    let lister = fixture.metered("list-jobs").await;
    fixture.ingest(&jobs(0..MANY)).await;
    list(&fixture, &lister, "limit=1", MANY).await;
    for (query, total, requests) in [
        // The job of this name, the rows in three reads, and the months that would divide the other rows.
        ("limit=50&search=job-000007", 1, 5),
        ("limit=50&search=scene-00000", 10, 5),
        // The page does not hold all rows, so the function counts the others.
        ("limit=50&search=scene", MANY, 4),
        ("limit=50&team=pictures", MANY, 3),
        // The totals, too: they tell the best ranges, and how many jobs each has.
        ("limit=50&search=scene&status=queued,completed", MANY, 5),
        ("limit=50&status=queued,completed", MANY, 2),
        ("limit=50&type=render,other&sort_by=priority", MANY, 2),
    ] {
        lister.proxy.heal();
        lister.meter.take();
        let reply = lister.function.call(&Request::new("GET", &format!("/v1/jobs?{query}"))).await;
        assert_eq!((reply.status, reply.at("/total")), (200, &json!(total)), "{query}: {}", reply.text);
        let mut seen: Vec<_> =
            lister.proxy.seen().into_iter().map(|seen| (seen.operation, seen.body.to_string())).collect();
        assert_eq!(u32::try_from(seen.len()), Ok(lister.meter.take().requests), "{query}");
        seen.sort();
        for pair in seen.windows(2) {
            assert_ne!(pair[0], pair[1], "{query}");
        }
        assert_eq!(seen.len(), requests, "{query}: {seen:#?}");
    }
}
