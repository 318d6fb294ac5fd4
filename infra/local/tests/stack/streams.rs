//! Changes in, events out.

use jobledger_local::{Http, Options, Stack};
use serde_json::{Value, json};

use crate::functions::{ids, seen};
use crate::{LONG, SAMPLE, dynamo, functions, start};

async fn put(stack: &Stack, range: std::ops::Range<usize>) -> Vec<String> {
    let client = dynamo::client(stack.dynamodb_endpoint());
    let ids: Vec<_> = range.map(|number| format!("{number:03}")).collect();
    for id in &ids {
        dynamo::put(&client, "ThingsTable", id).await.unwrap();
    }
    ids
}

fn taken(stack: &Stack) -> Vec<Value> {
    let mut events = Vec::new();
    seen(stack.dynamodb_endpoint(), |seen| events.clone_from(&seen.taken));
    events
}

#[tokio::test]
async fn changes_arrive_in_order_in_the_events_of_a_window() {
    let stack = start().await;
    let written = put(&stack, 0..25).await;
    stack.settled(LONG).await.unwrap();
    let events = taken(&stack);
    assert_eq!(ids(&events), written);
    for event in &events {
        assert!(event["Records"].as_array().unwrap().len() <= 10);
        assert_eq!(event["shardId"], "shardId-00000001-ThingsTable");
        assert!(event["eventSourceARN"].as_str().unwrap().contains("ThingsTable/stream/"));
        assert_eq!(
            (&event["isFinalInvokeForWindow"], &event["isWindowTerminatedEarly"]),
            (&json!(false), &json!(false))
        );
    }
    // Each event of a window passes its state to the next.
    let window = |event: &Value| event["window"]["start"].clone();
    for pair in events.windows(2).filter(|pair| window(&pair[0]) == window(&pair[1])) {
        let before = pair[0]["state"]["taken"].as_u64().unwrap_or_default();
        assert_eq!(pair[1]["state"]["taken"], json!(before + 1));
    }
    let record = &events[0]["Records"][0];
    assert_eq!(record["eventName"], "INSERT");
    assert_eq!(record["dynamodb"]["NewImage"]["owner"], json!({"S": "o"}));
    assert!(record["dynamodb"].get("OldImage").is_none());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_consumer_that_fails_is_sent_the_same_again_and_loses_nothing() {
    let stack = start().await;
    seen(stack.dynamodb_endpoint(), |seen| seen.refuse = 3);
    let written = put(&stack, 0..12).await;
    stack.settled(LONG).await.unwrap();
    seen(stack.dynamodb_endpoint(), |seen| {
        assert_eq!(seen.refused.len(), 3);
        assert!(seen.refused.iter().all(|event| event == &seen.refused[0]));
        assert_eq!(seen.taken[0], seen.refused[0]);
        assert_eq!(ids(&seen.taken), written);
    });
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn records_that_match_no_filter_are_skipped() {
    let stack = start().await;
    put(&stack, 0..1).await;
    stack.settled(LONG).await.unwrap();
    // One read returns both. The first one matches no pattern.
    let client = dynamo::client(stack.dynamodb_endpoint());
    let key = aws_sdk_dynamodb::types::AttributeValue::S("000".to_owned());
    client.delete_item().table_name("ThingsTable").key("id", key).send().await.unwrap();
    put(&stack, 1..2).await;
    stack.settled(LONG).await.unwrap();
    let events = taken(&stack);
    assert_eq!(ids(&events), ["000", "001"]);
    assert!(events.iter().all(|event| event["shardId"].is_string()));
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn without_http_the_streams_still_flow() {
    let options = Options { template: SAMPLE.to_owned(), http: Http::Off, ..Options::default() };
    let stack = Stack::start(options, functions::all()).await.unwrap();
    assert_eq!(stack.url(), None);
    let written = put(&stack, 0..1).await;
    stack.settled(LONG).await.unwrap();
    assert_eq!(ids(&taken(&stack)), written);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn settled_gives_up_in_time() {
    let stack = start().await;
    seen(stack.dynamodb_endpoint(), |seen| seen.refuse = usize::MAX);
    put(&stack, 0..1).await;
    let error = stack.settled(std::time::Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.to_string(), "follow has not been delivered everything in time");
    seen(stack.dynamodb_endpoint(), |seen| seen.refuse = 0);
    stack.stop().await.unwrap();
}
