//! Exports: a ticket, and a file whose cost is the size of its part of the index.

use futures_util::StreamExt;
use jobledger_tests::alone::Request;

use super::{CostFixture, completed};

/// Jobs of several parts of a file.
const MANY: usize = 1_200;

#[tokio::test]
async fn a_ticket_is_one_write() {
    let fixture = CostFixture::start().await;
    let link = fixture.metered("export-link").await;
    let request = Request::new("GET", "/v1/jobs/export?type=render");
    let (reply, bill) = link.call(&fixture, &request).await;
    assert_eq!(reply.status, 307, "{}", reply.text);
    bill.show("a ticket");
    bill.within(2, 1, 1);
}

#[tokio::test]
async fn a_file_is_read_once() {
    let fixture = CostFixture::start().await;
    fixture.ingest(&(0..MANY).map(|number| completed(number, number)).collect::<Vec<_>>()).await;
    let exporter = fixture.metered("export-jobs").await;
    exporter.meter.take();
    exporter.proxy.heal();
    let mut answer = exporter.function.open(&Request::new("GET", "/v1/jobs/export?format=ndjson")).await;
    let mut lines = 0;
    while let Some(piece) = answer.body.next().await {
        lines += String::from_utf8_lossy(&piece.expect("a piece")).matches('\n').count();
    }
    assert_eq!(lines, MANY);
    let bill = exporter.bill(&fixture).await;
    bill.show(&format!("a file of {MANY} jobs"));
    // The key, and a unit for about ten jobs. After the last part there may be an empty one.
    bill.within(5, 120, 0);
}
