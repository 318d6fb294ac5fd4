//! Several deliveries at once.

use std::collections::BTreeSet;

use jobledger_tests::PATIENCE;
use jobledger_tests::alone::Alone;
use jobledger_tests::faults::{Fault, Proxy, Seen};
use jobledger_tests::stream::{Write, event, lives, records, sequence};
use serde_json::Value;

use super::{SHARD, TallyFixture, all_of, deliver};

/// Sends an event until the function accepts it, as Lambda does, with a bound.
async fn until_taken(function: &Alone, event: &Value) {
    let sending = async { while function.invoke(event).await.is_err() {} };
    tokio::time::timeout(PATIENCE, sending).await.expect("the batch is taken");
}

/// Lambda may give up a delivery and begin the next one while the first still runs.
#[tokio::test]
async fn two_deliveries_of_one_shard_at_once_count_once() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let (one, other) = (counter.function().await, counter.function().await);
    let writes = lives(10, 300);
    for end in (50..=300).step_by(50) {
        // The second delivery also has the records before, and goes further.
        let (short, long) =
            (records(end - 50, &writes[end - 50..end - 10]), records(end - 50, &writes[end - 50..end]));
        let (short, long) = (event(SHARD, &short), event(SHARD, &long));
        tokio::join!(until_taken(&one, &short), until_taken(&other, &long));
        counter.expect(&writes[..end]).await;
    }
}

/// The slow delivery reads its checkpoint before the fast one commits, and commits after it. It must notice that.
#[tokio::test]
async fn a_delivery_that_was_overtaken_begins_anew() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let (slow, fast) = (counter.function_at(proxy.url()).await, counter.function().await);
    let writes = lives(11, 80);
    let event = all_of(&writes);
    // Between the slow one's read and its commit, the fast one counts half.
    let is_commit = |seen: &Seen| seen.operation == "TransactWriteItems";
    proxy.plan(move |seen| if is_commit(seen) { Fault::Held } else { Fault::None });
    tokio::select! {
        _ = slow.invoke(&event) => panic!("its commit is held"),
        () = proxy.held(1) => {}
    }
    deliver(&fast, SHARD, &records(0, &writes[..40])).await;
    // The held commit is sent now, with its old condition.
    let held = proxy.seen().into_iter().find(is_commit).expect("a commit");
    let refused = reqwest::Client::new()
        .post(fixture.endpoint())
        .header("x-amz-target", "DynamoDB_20120810.TransactWriteItems")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
        .header("x-amz-date", "20260101T000000Z")
        .header("content-type", "application/x-amz-json-1.0")
        .body(held.body.to_string())
        .send()
        .await
        .expect("an answer");
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.expect("a body").contains("ConditionalCheckFailed"));
    counter.expect(&writes[..40]).await;
    proxy.heal();
    until_taken(&slow, &event).await;
    counter.expect(&writes).await;
}

/// While one delivery is between its read and its commit, another counts all of it. The first delivery must find that
/// nothing is left to do, and succeed.
#[tokio::test]
async fn the_loser_of_a_race_finds_all_counted() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let (slow, fast) = (counter.function_at(proxy.url()).await, counter.function().await);
    let writes = lives(12, 60);
    let event = all_of(&writes);
    // The first attempt of its commit gets lost. The other delivery ends before the next attempt.
    let (lost, mut is_lost) = tokio::sync::mpsc::unbounded_channel();
    let (go, mut may_go) = tokio::sync::mpsc::unbounded_channel::<()>();
    proxy.plan(move |seen| {
        if seen.number == 1 {
            lost.send(()).expect("the test waits");
            return Fault::Lost;
        }
        if seen.number > 1 && may_go.try_recv().is_err() { Fault::Lost } else { Fault::None }
    });
    let racing = async {
        is_lost.recv().await.expect("the commit is tried");
        fast.invoke(&event).await.expect("the batch is taken");
        for _ in 0..100 {
            go.send(()).expect("the proxy runs");
        }
    };
    let (first, ()) = tokio::join!(slow.invoke(&event), racing);
    if first.is_err() {
        until_taken(&slow, &event).await;
    }
    counter.expect(&writes).await;
    assert_eq!(counter.checkpoint(SHARD).await, sequence(59));
}

/// Each shard has its own checkpoint, and all share the buckets.
#[tokio::test]
async fn shards_at_once_add_up_in_the_same_buckets() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let shards: Vec<(String, Vec<Write>)> =
        (0..4_u64).map(|number| (format!("shardId-{number}"), lives(20 + number, 120))).collect();
    let deliveries = shards.iter().map(|(shard, writes)| {
        let counter = &counter;
        async move {
            let function = counter.function().await;
            let records = records(0, writes);
            for batch in records.chunks(30) {
                until_taken(&function, &event(shard, batch)).await;
                // The same batch again, immediately.
                until_taken(&function, &event(shard, batch)).await;
            }
        }
    });
    let mut deliveries: Vec<_> = deliveries.map(Box::pin).collect();
    let [one, two, three, four] = &mut deliveries[..] else { unreachable!("four shards") };
    tokio::join!(one, two, three, four);
    let all: Vec<Write> = shards.iter().flat_map(|(_, writes)| writes.clone()).collect();
    counter.expect(&all).await;
    let mut checkpoints = BTreeSet::new();
    for (shard, _) in &shards {
        checkpoints.insert(counter.checkpoint(shard).await);
    }
    assert_eq!(checkpoints, BTreeSet::from([sequence(119)]));
}
