//! Records that cannot be read: the counter counts and logs them, and counts all others as usual.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::stream::{Write, event, lives, raw_record, record, records, sequence, spoilt};
use lambda_runtime::tracing::subscriber;
use lambda_runtime::tracing::subscriber::util::SubscriberInitExt;
use serde_json::{Value, json};

use super::{Counter, SHARD, TallyFixture, deliver};

/// The lines that this thread logs while the guard lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect()
    }
}

/// Records that cannot be read, one for each reason, for places from `from` on. The last one has no sequence number.
fn bad_records(from: usize) -> Vec<Value> {
    let [Write { new: Some(head), .. }, ..] = &lives(50, 1)[..] else {
        unreachable!("the first write creates")
    };
    let place = |number: usize| from + number;
    let keys = json!({ "job_id": { "S": head.job.id.to_string() }, "part": { "S": "head" } });
    let mut lacking = spoilt(head);
    lacking.remove("status");
    let mut foreign = spoilt(head);
    foreign.insert("priority".to_owned(), json!({ "N": "5" }));
    foreign.insert("status".to_owned(), json!({ "S": "asleep" }));
    let mut image_is_number = raw_record(place(3), &keys, None, Some(spoilt(head)));
    image_is_number["dynamodb"]["NewImage"] = json!(5);
    let mut no_keys = raw_record(place(4), &keys, None, Some(spoilt(head)));
    no_keys["dynamodb"].as_object_mut().expect("an object").remove("Keys");
    let mut no_number = record(place(5), &Write { old: None, new: Some(head.clone()) });
    no_number["dynamodb"].as_object_mut().expect("an object").remove("SequenceNumber");
    vec![
        raw_record(place(0), &keys, None, Some(spoilt(head))),
        raw_record(place(1), &keys, Some(lacking), None),
        raw_record(place(2), &keys, None, Some(foreign)),
        image_is_number,
        no_keys,
        no_number,
    ]
}

async fn failed_records_metric(counter: &Counter) -> Option<String> {
    let metrics = Alone::start("metrics", counter.environment.clone()).await;
    let reply = metrics.call(&Request::new("GET", "/metrics")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let name = "jobledger_tally_failed_records_total ";
    reply.text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

#[tokio::test]
async fn records_that_cannot_be_read_are_counted_logged_and_passed_over() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let good = lives(51, 40);
    let bad = bad_records(20);
    let mut batch = records(0, &good[..20]);
    batch.extend(bad.clone());
    batch.extend(records(26, &good[20..]));

    let log = Log::default();
    let writer = log.clone();
    let logging =
        subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish().set_default();
    deliver(&function, SHARD, &batch).await;
    drop(logging);
    counter.expect(&good).await;
    assert_eq!(counter.unreadable().await, 6);
    assert_eq!(failed_records_metric(&counter).await.as_deref(), Some("6"));
    assert_eq!(counter.checkpoint(SHARD).await, sequence(45));
    let lines = log.lines();
    let errors: Vec<&String> = lines.iter().filter(|line| line.contains("ERROR")).collect();
    assert_eq!(errors.len(), 6, "{lines:#?}");
    for place in 20..25 {
        let number = sequence(place);
        assert!(errors.iter().any(|line| line.contains(&number)), "nothing about {number} in {lines:#?}");
    }

    // The same batch again, and parts of it: nothing is counted twice, nor are the failures.
    for again in [&batch[..], &batch[10..], &batch[..30]] {
        deliver(&function, SHARD, again).await;
        counter.expect(&good).await;
        assert_eq!(counter.unreadable().await, 6);
    }
}

#[tokio::test]
async fn a_batch_of_nothing_else_is_passed_over_for_good() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let bad = bad_records(0);
    deliver(&function, SHARD, &bad[..5]).await;
    deliver(&function, SHARD, &bad[..5]).await;
    assert_eq!(counter.unreadable().await, 5);
    assert_eq!(counter.checkpoint(SHARD).await, sequence(4));
    let good = lives(52, 10);
    deliver(&function, SHARD, &records(5, &good)).await;
    counter.expect(&good).await;
}

/// Entries of an event that are not records count as failed. The others count as usual.
#[tokio::test]
async fn an_event_entry_that_is_no_record_does_not_stop_the_others() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let good = lives(53, 10);
    let mut batch = vec![json!("x"), json!(null), json!({}), json!({ "dynamodb": [] })];
    batch.extend(records(0, &good));
    deliver(&function, SHARD, &batch).await;
    counter.expect(&good).await;
    assert_eq!(counter.unreadable().await, 4);
}

/// First a cut delivery, which ends at a record without a number; then the whole batch.
#[tokio::test]
async fn a_record_without_a_number_counts_once_however_its_batch_is_cut() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    let good = lives(54, 10);
    let mut batch = records(0, &good);
    batch.insert(5, bad_records(5).swap_remove(5));
    deliver(&function, SHARD, &batch[..6]).await;
    assert_eq!(counter.unreadable().await, 1);
    deliver(&function, SHARD, &batch).await;
    deliver(&function, SHARD, &batch).await;
    counter.expect(&good).await;
    assert_eq!(counter.unreadable().await, 1);
}

#[tokio::test]
async fn an_event_that_is_none_is_an_error() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let function = counter.function().await;
    for bad in [json!(5), json!({ "Records": 5 }), json!({ "Records": [], "shardId": {} })] {
        assert!(function.invoke(&bad).await.is_err(), "{bad}");
    }
    deliver(&function, SHARD, &records(0, &[])).await;
    assert!(function.invoke(&event(SHARD, &[json!(1)])).await.is_ok());
}
