//! A crash between any two steps, and every other failure of a step. Then the batch is repeated.

use jobledger_tests::PATIENCE;
use jobledger_tests::alone::Alone;
use jobledger_tests::at_once::each_of;
use jobledger_tests::faults::{Fault, Proxy};
use jobledger_tests::stream::{BEGIN, Write, event, lives, queued, records, sequence};
use serde_json::Value;

use super::{Counter, SHARD, TallyFixture, all_of, deliver};

/// A read of the checkpoint, three commits, as the jobs lie in more hours than two commits can count, and a read before the last
/// commit, which counts failures: of the codes that have a number.
const REQUESTS: usize = 5;

/// A history that takes several commits, with steps to crash between.
fn wide() -> Vec<Write> {
    let mut writes: Vec<Write> = (0..42)
        .map(|hour| {
            queued(1_000_000 + hour, "cat", "render", BEGIN.plus_hours(i64::try_from(hour).unwrap_or(0)))
        })
        .map(|head| Write { old: None, new: Some(head) })
        .collect();
    writes.extend(lives(30, 15));
    writes
}

/// The counts must match the checkpoint: all writes up to it, and none after it.
async fn expect_up_to_the_checkpoint(counter: &Counter, writes: &[Write]) {
    let checkpoint = counter.checkpoint(SHARD).await;
    let done = (0..writes.len()).find(|place| sequence(*place) == checkpoint).map_or(0, |place| place + 1);
    assert_eq!(done == 0, checkpoint.is_empty());
    counter.expect(&writes[..done]).await;
}

async fn deliver_again(counter: &Counter, writes: &[Write]) {
    let function = counter.function().await;
    deliver(&function, SHARD, &records(0, writes)).await;
    counter.expect(writes).await;
    deliver(&function, SHARD, &records(writes.len() / 2, &writes[writes.len() / 2..])).await;
    counter.expect(writes).await;
}

#[tokio::test]
async fn the_history_takes_as_many_steps_as_are_crashed_between() {
    let fixture = TallyFixture::start().await;
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    let function = counter.function_at(proxy.url()).await;
    deliver(&function, SHARD, &records(0, &wide())).await;
    assert_eq!(
        proxy.operations(),
        ["GetItem", "TransactWriteItems", "TransactWriteItems", "GetItem", "TransactWriteItems"]
    );
}

/// The process ends at the k-th request: before DynamoDB does it, or after it, before the answer arrives.
#[tokio::test]
async fn a_crash_at_any_request_counts_every_record_once() {
    let fixture = TallyFixture::start().await;
    let writes = wide();
    for number in 0..REQUESTS {
        for fault in [Fault::Held, Fault::AnswerHeld] {
            let counter = fixture.counter().await;
            let proxy = Proxy::start(fixture.endpoint()).await;
            let function = counter.function_at(proxy.url()).await;
            proxy.spoil(number, fault);
            crash(&function, &proxy, &all_of(&writes)).await;
            expect_up_to_the_checkpoint(&counter, &writes).await;
            deliver_again(&counter, &writes).await;
        }
    }
}

/// Calls the function, and ends it as soon as a request is held.
async fn crash(function: &Alone, proxy: &Proxy, event: &Value) {
    let held = proxy.held_so_far() + 1;
    tokio::select! {
        answer = function.invoke(event) => panic!("no request was held: {answer:?}"),
        () = proxy.held(held) => {}
    }
}

/// The process crashes at its last step several times. Meanwhile Lambda adds records to the batch.
#[tokio::test]
async fn crashes_in_a_row_count_every_record_once() {
    let fixture = TallyFixture::start().await;
    let writes = lives(31, 200);
    let counter = fixture.counter().await;
    let proxy = Proxy::start(fixture.endpoint()).await;
    for end in (20..=200).step_by(20) {
        let function = counter.function_at(proxy.url()).await;
        let fault = if end % 40 == 0 { Fault::Held } else { Fault::AnswerHeld };
        proxy.spoil(1, fault);
        crash(&function, &proxy, &event(SHARD, &records(0, &writes[..end]))).await;
        expect_up_to_the_checkpoint(&counter, &writes).await;
    }
    deliver_again(&counter, &writes).await;
}

/// The k-th request fails once, in every way that requests fail. The function retries it, or Lambda repeats the batch.
#[tokio::test]
async fn a_failure_at_any_request_counts_every_record_once() {
    let fixture = TallyFixture::start().await;
    let faults = [
        Fault::Lost,
        Fault::AnswerLost,
        Fault::throttled(),
        Fault::broken(),
        Fault::cancelled(),
        Fault::conflict(),
    ];
    let cases = faults.into_iter().flat_map(|fault| (0..REQUESTS).map(move |number| (number, fault.clone())));
    let writes = wide();
    let (fixture, writes) = (&fixture, &writes);
    each_of(cases, |(number, fault)| async move {
        let counter = fixture.counter().await;
        let proxy = Proxy::start(fixture.endpoint()).await;
        let function = counter.function_at(proxy.url()).await;
        proxy.spoil(number, fault);
        let event = all_of(writes);
        let delivering = async { while function.invoke(&event).await.is_err() {} };
        tokio::time::timeout(PATIENCE, delivering).await.expect("the batch is taken");
        counter.expect(writes).await;
        deliver_again(&counter, writes).await;
    })
    .await;
}

/// From the k-th request on, DynamoDB fails. The function returns an error, so Lambda keeps the batch.
#[tokio::test]
async fn a_batch_is_delivered_again_if_the_store_fails() {
    let fixture = TallyFixture::start().await;
    let cases = [Fault::Lost, Fault::AnswerLost, Fault::throttled(), Fault::broken(), Fault::cancelled()];
    let cases = cases.into_iter().flat_map(|fault| [0, 2].map(|number| (number, fault.clone())));
    let writes = wide();
    let (fixture, writes) = (&fixture, &writes);
    each_of(cases, |(number, fault)| async move {
        let counter = fixture.counter().await;
        let proxy = Proxy::start(fixture.endpoint()).await;
        let function = counter.function_at(proxy.url()).await;
        let lasting = fault.clone();
        proxy.plan(move |seen| if seen.number >= number { lasting.clone() } else { Fault::None });
        let answer = tokio::time::timeout(PATIENCE, function.invoke(&all_of(writes))).await;
        // A cancelled transaction is no answer to a read: the function does not retry it, but returns an error, too.
        assert!(answer.expect("it gives up in time").is_err(), "{fault:?} from request {number} on");
        assert!(proxy.seen().len() <= number + 40, "retries have a bound");
        expect_up_to_the_checkpoint(&counter, writes).await;
        deliver_again(&counter, writes).await;
    })
    .await;
}
