//! The process ends at a request, before or after DynamoDB did it. Then the event is repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use jobledger::lambda::system_clock;
use jobledger_tests::alone::Request;
use jobledger_tests::at_once::each_of;
use jobledger_tests::background::{BackgroundFixture, deliver, event};
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::text;
use serde_json::{Value, json};

use super::{TallyTable, fill};

/// More requests than a recount of one owner takes here.
const MAX_REQUESTS: usize = 400;
/// The test tries one request in this many.
const STEP: usize = 13;

/// Creates a recount that no function has begun; returns its id.
async fn begin(fixture: &BackgroundFixture, owner: &str, repair: bool) -> String {
    let function = fixture.function("recount", fixture.endpoint(), system_clock).await;
    let body = json!({ "owner": owner, "repair": repair, "settle_seconds": 0 });
    let reply = function.call(&Request::new("POST", "/v1/admin/recount").body(body.to_string())).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    text(reply.at("/job_id"))
}

/// Breaks an owner's numbers, and lets a process repair them that ends at a request. Then the event is repeated.
/// Returns whether the process ended there.
async fn crash(fixture: &BackgroundFixture, harm: &[(&str, &str)], number: usize, fault: Fault) -> bool {
    let owner = format!("owner-{number}-{}", if fault == Fault::Held { "before" } else { "after" });
    let tallies = TallyTable::of(&fixture.service);
    fill(&fixture.service, &owner).await;
    fixture.service.settled().await;
    let right = tallies.counts_of(&owner).await;
    for (bucket, cell) in harm {
        tallies.spoil(&owner, bucket, cell, 2).await;
    }
    let proxy = Proxy::start(fixture.endpoint()).await;
    let runner = fixture.function("run-background-tasks", proxy.url(), system_clock).await;
    let id = begin(fixture, &owner, true).await;
    proxy.spoil(number, fault);
    let event = event(&id);
    let is_crashed = tokio::select! {
        answer = runner.invoke(&event) => {
            assert!(answer.is_ok(), "{owner}: {answer:?}");
            false
        }
        () = proxy.held(1) => true,
    };
    drop(runner);
    deliver(&fixture.later_runner().await, &id).await;
    let job = fixture.job(&id).await;
    let wrong = &job["result"]["drift"][&owner];
    assert_eq!((&job["status"], wrong), (&json!("completed"), &json!(harm.len())), "{owner}: {job}");
    assert_eq!(job["result"]["repaired"], *wrong, "{owner}: {job}");
    assert_eq!(tallies.counts_of(&owner).await, right, "{owner}");
    let id = begin(fixture, &owner, false).await;
    deliver(&fixture.runner().await, &id).await;
    let nothing: Value = fixture.job(&id).await["result"]["drift"][&owner].clone();
    assert_eq!(nothing, Value::Null, "{owner}");
    is_crashed
}

/// The numbers of longer buckets need no second reading.
#[tokio::test]
async fn a_crash_anywhere_repairs_longer_buckets_once() {
    let fixture = BackgroundFixture::start().await;
    let cases = (0..MAX_REQUESTS)
        .step_by(STEP)
        .flat_map(|number| [(number, Fault::Held), (number + STEP / 2, Fault::AnswerHeld)]);
    let crashed = AtomicUsize::new(0);
    let (shared, count) = (&fixture, &crashed);
    each_of(cases, |(number, fault)| async move {
        let is_crashed =
            crash(shared, &[("total", "alive:queued"), ("day#2026-01-11", "05q")], number, fault).await;
        count.fetch_add(usize::from(is_crashed), Ordering::Relaxed);
    })
    .await;
    let crashed = crashed.into_inner();
    assert!((10..MAX_REQUESTS / STEP * 2).contains(&crashed), "{crashed} crashes");
}

/// The recount reads hours twice, and the probe is counted between.
#[tokio::test]
async fn a_crash_anywhere_repairs_hours_once() {
    let fixture = BackgroundFixture::start().await;
    let mut crashed = 0;
    for number in (0..MAX_REQUESTS / 2).step_by(2 * STEP) {
        for fault in [Fault::Held, Fault::AnswerHeld] {
            let is_crashed = crash(&fixture, &[("minutes#2026-01-11T05", "11q")], number, fault).await;
            crashed += usize::from(is_crashed);
        }
    }
    assert!(crashed >= 6, "{crashed} crashes");
}

/// If the counts changed after the recount read them, its repair fails, and it reads again.
#[tokio::test]
async fn counts_between_read_and_repair_are_kept() {
    let fixture = BackgroundFixture::start().await;
    let tallies = TallyTable::of(&fixture.service);
    fill(&fixture.service, "ann").await;
    fixture.service.settled().await;
    let total = async || tallies.counts_of("ann").await.remove(&("ann".to_owned(), "total".to_owned()));
    let mut right = total().await.expect("the total");
    tallies.spoil("ann", "total", "alive:queued", 2).await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    // The receiver lives as long as the plan, because several attempts may ask.
    let (asks, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let counted = Arc::new(AtomicBool::new(false));
    let is_counted = Arc::clone(&counted);
    // Repairs are the only transactions of a recount. They fail until the counter has written.
    proxy.plan(move |seen| {
        if seen.operation != "TransactWriteItems" || is_counted.load(Ordering::Relaxed) {
            return Fault::None;
        }
        asks.send(()).expect("somebody who counts");
        Fault::cancelled()
    });
    let runner = fixture.function("run-background-tasks", proxy.url(), system_clock).await;
    let id = begin(&fixture, "ann", true).await;
    let count = async {
        asked.recv().await.expect("a repair");
        for bucket in ["month#2026-01", "total"] {
            for cell in ["alive:queued", "created", "revision"] {
                tallies.spoil("ann", bucket, cell, 1).await;
            }
        }
        counted.store(true, Ordering::Relaxed);
    };
    tokio::join!(deliver(&runner, &id), count);
    assert_eq!(fixture.job(&id).await["result"]["repaired"], 1);
    for cell in ["alive:queued", "created"] {
        *right.entry(cell.to_owned()).or_default() += 1;
    }
    assert_eq!(total().await, Some(right));
}
