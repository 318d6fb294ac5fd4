//! The state of a stack that starts again.

use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use jobledger_local::{Error, Options, Stack, Storage};

use crate::functions::{ids, seen};
use crate::{LONG, SAMPLE, dynamo, functions, start_in};

const POSITIONS: &str = "streams/follow.Changes.json";

async fn put(stack: &Stack, id: &str) {
    dynamo::put(&dynamo::client(stack.dynamodb_endpoint()), "ThingsTable", id).await.unwrap();
}

/// All records that this run delivered.
async fn delivered(stack: &Stack) -> Vec<String> {
    stack.settled(LONG).await.unwrap();
    let mut delivered = Vec::new();
    seen(stack.dynamodb_endpoint(), |seen| delivered = ids(&std::mem::take(&mut seen.taken)));
    delivered
}

async fn first_run(directory: &Path) {
    let stack = start_in(directory).await;
    put(&stack, "a").await;
    assert_eq!(delivered(&stack).await, ["a"]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn items_are_kept_and_streams_go_on_where_they_were() {
    let directory = tempfile::tempdir().unwrap();
    first_run(directory.path()).await;

    let stack = start_in(directory.path()).await;
    put(&stack, "b").await;
    assert_eq!(delivered(&stack).await, ["b"]);
    let client = dynamo::client(stack.dynamodb_endpoint());
    let query = client
        .query()
        .table_name("ThingsTable")
        .index_name("owner-index")
        .key_condition_expression("#owner = :owner AND #shard = :shard")
        .expression_attribute_names("#owner", "owner")
        .expression_attribute_names("#shard", "shard")
        .expression_attribute_values(":owner", AttributeValue::S("o".to_owned()))
        .expression_attribute_values(":shard", AttributeValue::N("0".to_owned()));
    assert_eq!(query.send().await.unwrap().count, 2);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn an_old_position_or_none_means_again_and_never_less() {
    let directory = tempfile::tempdir().unwrap();
    first_run(directory.path()).await;
    let old = std::fs::read(directory.path().join(POSITIONS)).unwrap();

    let stack = start_in(directory.path()).await;
    put(&stack, "b").await;
    assert_eq!(delivered(&stack).await, ["b"]);
    stack.stop().await.unwrap();

    // As after a crash between a delivery and the writing of its position.
    std::fs::write(directory.path().join(POSITIONS), old).unwrap();
    let stack = start_in(directory.path()).await;
    assert_eq!(delivered(&stack).await, ["b"]);
    stack.stop().await.unwrap();

    std::fs::remove_file(directory.path().join(POSITIONS)).unwrap();
    let stack = start_in(directory.path()).await;
    assert_eq!(delivered(&stack).await, ["a", "b"]);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn data_is_used_by_one_stack_at_a_time_and_by_its_own_template() {
    let directory = tempfile::tempdir().unwrap();
    let stack = start_in(directory.path()).await;
    let options = |template: &str| Options {
        template: template.to_owned(),
        storage: Storage::Directory(directory.path().to_owned()),
        ..Options::default()
    };
    let error = Stack::start(options(SAMPLE), functions::all()).await.unwrap_err();
    assert!(matches!(error, Error::DataInUse(_)), "{error}");
    stack.stop().await.unwrap();

    let other = SAMPLE.replace("NonKeyAttributes: [name]", "NonKeyAttributes: [title]");
    let error = Stack::start(options(&other), functions::all()).await.unwrap_err();
    assert!(error.to_string().contains("index owner-index"), "{error}");
}
