//! Functions for these tests: one behind HTTP, and one on the stream, which keeps its events.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::{dynamo, streaming};

/// The events that functions received, by the endpoint of their stack: tests run at the same time in one process.
static SEEN: LazyLock<Mutex<BTreeMap<String, Seen>>> = LazyLock::new(Mutex::default);

#[derive(Default)]
pub(crate) struct Seen {
    /// The events that the function accepted.
    pub(crate) taken: Vec<Value>,
    /// The events that the function refused.
    pub(crate) refused: Vec<Value>,
    /// How many events the function still has to refuse.
    pub(crate) refuse: usize,
    /// Whether a function waits for its caller to leave.
    pub(crate) staying: bool,
    /// Whether the caller has left.
    pub(crate) left: bool,
}

pub(crate) fn seen(endpoint: &str, look: impl FnOnce(&mut Seen)) {
    look(lock().entry(endpoint.to_owned()).or_default());
}

fn lock() -> MutexGuard<'static, BTreeMap<String, Seen>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn all() -> Vec<Function> {
    vec![
        Function {
            name: "front",
            routes: Vec::new,
            start: |environment| Box::pin(async move { Ok(Front::new(&environment)) }),
        },
        streaming::DRIP,
        Function {
            name: "follow",
            routes: Vec::new,
            start: |environment| Box::pin(async move { Ok(Follow::new(&environment)) }),
        },
    ]
}

struct Front {
    endpoint: String,
    client: aws_sdk_dynamodb::Client,
    table: String,
}

impl Front {
    #[expect(clippy::new_ret_no_self, reason = "what `start` answers")]
    fn new(environment: &Environment) -> Started {
        let endpoint = environment.vars["AWS_ENDPOINT_URL_DYNAMODB"].clone();
        let client = dynamo::client(&endpoint);
        Started::Whole(Box::new(Self { endpoint, client, table: environment.vars["THINGS_TABLE"].clone() }))
    }

    async fn handle(&self, event: &RawValue) -> Result<Box<RawValue>, Error> {
        let event: Value = serde_json::from_str(event.get())?;
        let what = event["pathParameters"]["what"].as_str().unwrap_or_default();
        match what {
            "fail" => return Err("a secret".into()),
            "panic" => panic!("a secret"),
            "sleep" => std::future::pending::<()>().await,
            "stay" => {
                seen(&self.endpoint, |seen| seen.staying = true);
                jobledger::lambda::caller_left().await;
                seen(&self.endpoint, |seen| seen.left = true);
            }
            "flood" => return Ok(to_raw_value(&"x".repeat(6 * 1024 * 1024))?),
            _ => {}
        }
        if let Some(id) = event["pathParameters"]["id"].as_str() {
            dynamo::put(&self.client, &self.table, id).await?;
        }
        let answer = json!({
            "statusCode": 200,
            "headers": {"content-type": "application/json"},
            "body": event.to_string(),
        });
        Ok(to_raw_value(&answer)?)
    }
}

impl Invoke for Front {
    fn invoke<'a>(&'a self, event: &'a RawValue, _: Context) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(self.handle(event))
    }
}

struct Follow {
    endpoint: String,
}

impl Follow {
    #[expect(clippy::new_ret_no_self, reason = "what `start` answers")]
    fn new(environment: &Environment) -> Started {
        let endpoint = environment.vars["AWS_ENDPOINT_URL_DYNAMODB"].clone();
        Started::Whole(Box::new(Self { endpoint }))
    }

    fn handle(&self, event: &RawValue) -> Result<Box<RawValue>, Error> {
        let event: Value = serde_json::from_str(event.get())?;
        let taken = event["state"]["taken"].as_u64().unwrap_or_default() + 1;
        let mut refused = false;
        seen(&self.endpoint, |seen| {
            refused = seen.refuse > 0;
            seen.refuse = seen.refuse.saturating_sub(1);
            if refused { seen.refused.push(event) } else { seen.taken.push(event) }
        });
        if refused { Err("not now".into()) } else { Ok(to_raw_value(&json!({"state": {"taken": taken}}))?) }
    }
}

impl Invoke for Follow {
    fn invoke<'a>(&'a self, event: &'a RawValue, _: Context) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        let answer = self.handle(event);
        Box::pin(async { answer })
    }
}

/// The ids of the records in these events, in order.
pub(crate) fn ids(events: &[Value]) -> Vec<String> {
    let records = events.iter().flat_map(|event| event["Records"].as_array().unwrap());
    records.map(|record| record["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap().to_owned()).collect()
}

/// An item of the sample's table.
pub(crate) fn thing(id: &str) -> [(String, AttributeValue); 4] {
    [
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
        ("owner".to_owned(), AttributeValue::S("o".to_owned())),
        ("shard".to_owned(), AttributeValue::N("0".to_owned())),
        ("created".to_owned(), AttributeValue::S(id.to_owned())),
    ]
}
