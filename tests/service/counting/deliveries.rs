//! Batches that repeat, overlap, are cut short, or are empty.

use jobledger_tests::stream::{Dice, Write, last_event, lives, records, sequence};
use serde_json::{Value, json};

use super::{Counter, SHARD, TallyFixture, deliver};

/// Writes of one history.
const WRITES: usize = 240;
/// Histories, each with other deliveries.
const HISTORIES: u64 = 6;
/// Deliveries of each history.
const DELIVERIES: usize = 40;

#[tokio::test]
async fn every_batch_twice_counts_once() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let writes = lives(1, WRITES);
    let records = records(0, &writes);
    for (number, batch) in records.chunks(37).enumerate() {
        let end = number * 37 + batch.len();
        for _ in 0..2 {
            deliver(&function, SHARD, batch).await;
            counter.expect(&writes[..end]).await;
        }
    }
    assert_eq!(counter.checkpoint(SHARD).await, sequence(WRITES - 1));
}

#[tokio::test]
async fn an_old_batch_out_of_its_turn_changes_nothing() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let writes = lives(2, WRITES);
    let records = records(0, &writes);
    let batches: Vec<&[Value]> = records.chunks(60).collect();
    for batch in &batches {
        deliver(&function, SHARD, batch).await;
    }
    counter.expect(&writes).await;
    // An operator sends the queue of failed batches a day later, in any order.
    for batch in [batches[2], batches[0], batches[3], batches[1], &records[..], &records[59..61]] {
        deliver(&function, SHARD, batch).await;
        counter.expect(&writes).await;
    }
    assert_eq!(counter.checkpoint(SHARD).await, sequence(WRITES - 1));
}

/// Each delivery begins somewhere at or before the first record that is not counted, and ends anywhere. Lambda promises
/// no more than that.
#[tokio::test]
async fn overlapping_and_cut_batches_count_once() {
    let fixture = TallyFixture::start().await;
    for seed in 0..HISTORIES {
        let counter = fixture.counter().await;
        let writes = lives(100 + seed, WRITES);
        deliver_badly(&counter, &writes, &mut Dice::new(seed)).await;
    }
}

async fn deliver_badly(counter: &Counter, writes: &[Write], dice: &mut Dice) {
    let mut roll = |sides: usize| usize::try_from(dice.roll(sides as u64)).expect("a small number");
    let records = records(0, writes);
    let mut taken = 0;
    for _ in 0..DELIVERIES {
        // Now and then a new environment begins: nothing may depend on its memory.
        let function = counter.function().await;
        let from = taken - roll(taken.min(50) + 1);
        let to = (from + 1 + roll(40)).min(writes.len());
        if from >= to {
            continue;
        }
        deliver(&function, SHARD, &records[from..to]).await;
        taken = taken.max(to);
        counter.expect(&writes[..taken]).await;
    }
    deliver(&counter.function().await, SHARD, &records[taken.saturating_sub(1)..]).await;
    counter.expect(writes).await;
}

#[tokio::test]
async fn events_without_records_change_nothing() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (function, meter) = counter.metered().await;
    deliver(&function, SHARD, &[]).await;
    let writes = lives(3, 20);
    deliver(&function, SHARD, &records(0, &writes)).await;
    meter.take();
    for event in [last_event(SHARD), json!({ "Records": [] }), json!({})] {
        assert_eq!(function.invoke(&event).await, Ok(json!({ "state": {}, "batchItemFailures": [] })));
    }
    deliver(&function, SHARD, &[]).await;
    assert_eq!(meter.take().requests, 0);
    counter.expect(&writes).await;
}

/// Lambda names a shard only in the events of a window. Without the name, a repeated record looks like a new one.
/// The function fails then, and Lambda repeats the batch until an operator mends the event source.
#[tokio::test]
async fn records_without_a_shard_are_refused() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let event = json!({ "Records": records(0, &lives(4, 3)) });
    let refused = function.invoke(&event).await.expect_err("no shardId");
    assert!(refused.contains("tumbling window"), "{refused}");
    assert!(counter.dynamo.scan(&counter.table).await.is_empty());
}
