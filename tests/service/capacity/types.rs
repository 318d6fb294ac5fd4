//! More types of one owner than it may use: a scrape and a look at the queues cost the same as without them.

use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::Request;
use jobledger_tests::capacity::Halves;
use serde_json::{Value, json};

use super::CostFixture;

/// Types that an owner may use.
const MOST: usize = 500;
/// Types that an owner tries to use.
const FLOOD: usize = 100_000;
/// Lines of one ingest.
const LINES: usize = 10_000;

/// Not in a minute in which the reaper looks at all owners and types.
fn calm() -> Timestamp {
    Timestamp::from_millis(system_clock().millis() / 600_000 * 600_000 + 300_000)
}

async fn ingest(fixture: &CostFixture, from: usize, to: usize) -> (u64, u64) {
    let line = |number: usize| {
        let kind = format!("t{number:06}");
        json!({ "external_id": kind, "type": kind, "status": "queued", "created_at": "2026-03-01T00:00:00Z" })
            .to_string()
    };
    let lines: Vec<String> = (from..to).map(line).collect();
    let call = fixture.service.call("POST", "/v1/admin/ingest/jobs").body(lines.join("\n"));
    let reply = call.expect(200).await;
    let rejected = reply.at("/rejected").as_array().map_or(0, |lines| {
        let is_told = |line: &&Value| line["code"].is_null() || line["code"] == "too_many_types";
        lines.iter().filter(is_told).count()
    });
    (reply.at("/created").as_u64().expect("a count"), u64::try_from(rejected).expect("a count"))
}

/// The units that a scrape and a look read, and the items of counts that there are to be read.
async fn cost(fixture: &CostFixture) -> [Halves; 3] {
    // The look leaves a note that the scrape reads.
    let reaper = fixture.metered_by("reap-leases", calm).await;
    let look = reaper.invoke(fixture, &json!({})).await;
    let scraper = fixture.metered("metrics").await;
    let get = Request::new("GET", "/metrics");
    scraper.call(fixture, &get).await;
    let (reply, scrape) = scraper.call(fixture, &get).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    scrape.show("scrape");
    look.show("look at the queues");
    [scrape.read, look.read, fixture.tallies().await.len()]
}

#[tokio::test]
async fn types_past_the_limit_cost_readers_nothing() {
    let fixture = CostFixture::start().await;
    let most = u64::try_from(MOST).expect("a count");
    assert_eq!(ingest(&fixture, 0, MOST).await, (most, 0));
    fixture.service.settled().await;
    let before = cost(&fixture).await;
    let lines = u64::try_from(LINES).expect("a count");
    for from in (0..FLOOD).step_by(LINES) {
        let (created, rejected) = ingest(&fixture, from + MOST, from + MOST + LINES).await;
        assert_eq!((created, rejected), (0, lines));
    }
    fixture.service.settled().await;
    let after = cost(&fixture).await;
    for (before, after) in before.into_iter().zip(after) {
        assert!(10 * after <= 12 * before, "{after} halves or items, and {before} without the flood");
    }
}
