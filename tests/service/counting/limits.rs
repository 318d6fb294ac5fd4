//! The limits of one transaction, and batches that need none.

use jobledger::counts::MAX_ITEMS;
use jobledger::domain::{Percent, Progress, State, Status};
use jobledger_tests::faults::{Proxy, Seen};
use jobledger_tests::stream::{BEGIN, Write, lives, queued, records, sequence, stepped};
use serde_json::Value;

use super::{SHARD, TallyFixture, deliver};

/// Most bytes of one expression, by DynamoDB's limits.
const EXPRESSION_BYTES: usize = 4_096;
/// Most operators of one expression, by DynamoDB's limits.
const EXPRESSION_OPERATORS: usize = 300;
/// Most items of one transaction, by DynamoDB's limits.
const TRANSACTION_ITEMS: usize = 100;

fn created(number: u128, kind: &str, hour: i64) -> Write {
    Write { old: None, new: Some(queued(number, "dan", kind, BEGIN.plus_hours(hour))) }
}

/// Checks the transactions that were sent, and returns how many there were.
fn commits(seen: &[Seen]) -> usize {
    let commits: Vec<&Seen> = seen.iter().filter(|seen| seen.operation == "TransactWriteItems").collect();
    for commit in &commits {
        let items = commit.body["TransactItems"].as_array().expect("items");
        assert!(items.len() <= TRANSACTION_ITEMS, "{} items in a transaction", items.len());
        for item in items {
            let update = &item["Update"];
            let expression = update["UpdateExpression"].as_str().expect("an expression");
            assert!(expression.len() <= EXPRESSION_BYTES, "{} bytes of expression", expression.len());
            let terms = expression.matches(',').count() + 1;
            assert!(terms <= EXPRESSION_OPERATORS, "{terms} operators in an expression");
        }
    }
    commits.len()
}

#[tokio::test]
async fn more_buckets_than_a_transaction_takes_are_committed_in_prefixes() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let function = counter.function_at(proxy.url()).await;
    let writes: Vec<Write> =
        (0..250_i64).map(|hour| created(u128::from(hour.unsigned_abs()) + 1, "x", hour)).collect();
    deliver(&function, SHARD, &records(0, &writes)).await;
    let sent = commits(&proxy.seen());
    assert!((3..=250_usize.div_ceil((MAX_ITEMS - 30) / 4)).contains(&sent), "{sent} commits");
    counter.expect(&writes).await;
    assert_eq!(counter.checkpoint(SHARD).await, sequence(249));
    deliver(&function, SHARD, &records(0, &writes)).await;
    counter.expect(&writes).await;
}

#[tokio::test]
async fn more_types_than_a_transaction_takes_are_committed_in_prefixes() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let function = counter.function_at(proxy.url()).await;
    // The longest names, each a type: six items for each type, and five for all types together.
    let name = |number: u128| format!("{number:03}-{}", "n".repeat(60));
    let writes: Vec<Write> = (0..230).map(|number| created(number + 1, &name(number), 0)).collect();
    deliver(&function, SHARD, &records(0, &writes)).await;
    assert_eq!(commits(&proxy.seen()), 230_usize.div_ceil((MAX_ITEMS - 5) / 6));
    counter.expect(&writes).await;
    deliver(&function, SHARD, &records(0, &writes)).await;
    counter.expect(&writes).await;
}

/// An hour's item has a number for each minute and status. One expression cannot change all of them.
#[tokio::test]
async fn more_numbers_of_an_item_than_an_expression_takes_are_committed_in_prefixes() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let function = counter.function_at(proxy.url()).await;
    let begin = BEGIN.plus_millis(-30 * 60_000);
    let writes: Vec<Write> = (0..300_i64)
        .map(|number| {
            let head = queued(
                u128::from(number.unsigned_abs()) + 1,
                "cat",
                "x",
                begin.plus_millis(number % 60 * 60_000),
            );
            let status = Status::ALL[usize::try_from(number / 60).expect("one of five")];
            Write { old: None, new: Some(stepped(head, status)) }
        })
        .collect();
    deliver(&function, SHARD, &records(0, &writes)).await;
    assert!(commits(&proxy.seen()) > 1);
    counter.expect(&writes).await;
}

#[tokio::test]
async fn a_thousand_records_of_an_hour_are_one_commit() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (function, meter) = counter.metered().await;
    let writes: Vec<Write> = (0..1_000).map(|number| created(number + 1, "x", 0)).collect();
    deliver(&function, SHARD, &records(0, &writes)).await;
    let spent = meter.take();
    assert_eq!((spent.requests, spent.round_trips), (2, 2));
    counter.expect(&writes).await;
}

/// Heartbeats and progress change no number. The counter reads the checkpoint and writes nothing.
#[tokio::test]
async fn a_batch_that_moves_no_number_writes_nothing() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (function, meter) = counter.metered().await;
    let Write { new: Some(head), .. } = created(1, "x", 0) else { unreachable!("it is created") };
    let mut beats = Vec::new();
    let mut old = head.clone();
    for beat in 1..=50 {
        let mut new = old.clone();
        new.job.updated_at = old.job.updated_at.plus_millis(beat);
        // Every other heartbeat also reports progress.
        if beat % 2 == 0 {
            let overall_progress = Percent::try_from(beat.to_string().as_str()).expect("a share");
            new.job.progress = Some(Progress { overall_progress, ..Progress::default() });
        }
        beats.push(Write { old: Some(std::mem::replace(&mut old, new.clone())), new: Some(new) });
    }
    deliver(&function, SHARD, &records(0, &[created(1, "x", 0)])).await;
    let before = counter.dynamo.scan(&counter.table).await;
    meter.take();
    deliver(&function, SHARD, &records(1, &beats)).await;
    let spent = meter.take();
    assert_eq!((spent.requests, spent.round_trips), (1, 1));
    assert!(spent.write_units.abs() < f64::EPSILON);
    let as_text = |items: Vec<serde_json::Map<String, Value>>| {
        let mut texts: Vec<_> = items.iter().map(|item| serde_json::to_string(item).expect("JSON")).collect();
        texts.sort();
        texts
    };
    assert_eq!(as_text(counter.dynamo.scan(&counter.table).await), as_text(before));
    assert_eq!(counter.checkpoint(SHARD).await, sequence(0));
}

/// A running job, whose record changes only its progress.
#[tokio::test]
async fn progress_alone_writes_nothing() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (function, meter) = counter.metered().await;
    let mut old = queued(1, "dan", "x", BEGIN);
    old.job.state = State::Running { started_at: BEGIN, phase: None, lease: None };
    let mut new = old.clone();
    new.job.progress = Some(Progress::DONE);
    let began = Write { old: None, new: Some(old.clone()) };
    let writes = [began, Write { old: Some(old), new: Some(new) }];
    deliver(&function, SHARD, &records(0, &writes[..1])).await;
    meter.take();
    deliver(&function, SHARD, &records(1, &writes[1..])).await;
    let spent = meter.take();
    assert_eq!((spent.requests, spent.round_trips), (1, 1), "the checkpoint is read");
    assert!(spent.write_units.abs() < f64::EPSILON);
    assert_eq!(counter.checkpoint(SHARD).await, sequence(0));
    counter.expect(&writes).await;
}

/// A shard with nothing but heartbeats keeps its old checkpoint. Records after them still count once.
#[tokio::test]
async fn records_that_were_skipped_are_skipped_again() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let mut writes = lives(40, 30);
    let Some(head) = writes.iter().rev().find_map(|write| write.new.clone()) else {
        unreachable!("some live")
    };
    let mut beat = head.clone();
    beat.job.updated_at = beat.job.updated_at.plus_millis(1);
    writes.push(Write { old: Some(head), new: Some(beat) });
    let records = records(0, &writes);
    deliver(&function, SHARD, &records[..30]).await;
    deliver(&function, SHARD, &records[30..]).await;
    let more = lives(41, 30);
    let next = jobledger_tests::stream::records(31, &more);
    let both: Vec<Value> = records[30..].iter().chain(&next).cloned().collect();
    deliver(&function, SHARD, &both).await;
    deliver(&function, SHARD, &both).await;
    writes.extend(more);
    counter.expect(&writes).await;
    assert_eq!(counter.checkpoint(SHARD).await, sequence(60));
}
