//! Counting from the stream. Each test calls `tally-jobs` itself, with Lambda's events, on its own tallies.

mod concurrency;
mod crashes;
mod deliveries;
mod limits;
mod records;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jobledger::Environment;
use jobledger::meter::Meter;
use jobledger_local::{Http, Options};
use jobledger_tests::alone::Alone;
use jobledger_tests::dynamo::{Dynamo, text};
use jobledger_tests::stream::{Counts, Write, counts_of, event, records, recount};
use jobledger_tests::{PATIENCE, Service};
use serde_json::{Value, json};

/// A shard, for tests that need only one.
const SHARD: &str = "shardId-00000001772000000000-aaaaaaaa";

/// A DynamoDB for some counters. No test creates jobs in it, and each counter has its own table. So the stack's own
/// counter changes none of the counts.
struct TallyFixture {
    service: Service,
    dynamo: Dynamo,
    counters: AtomicUsize,
}

/// A table of tallies, and the environment of its counter.
struct Counter {
    dynamo: Dynamo,
    table: String,
    environment: Environment,
}

impl TallyFixture {
    async fn start() -> Self {
        let service = Service::with_options(Options { http: Http::Off, ..Service::options() }).await;
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        Self { service, dynamo, counters: AtomicUsize::new(0) }
    }

    /// New, empty tallies.
    async fn counter(&self) -> Counter {
        let mut environment = self.service.stack.environment("tally-jobs").expect("the function");
        let number = self.counters.fetch_add(1, Ordering::Relaxed);
        let table = format!("{}-{number}", environment.vars["TALLIES_TABLE"]);
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let made = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("scope"), attribute("bucket")],
            "KeySchema": [key("scope", "HASH"), key("bucket", "RANGE")],
        });
        self.dynamo.call("CreateTable", &made).await;
        let what = json!({ "TableName": table });
        let active = async {
            while self.dynamo.call("DescribeTable", &what).await["Table"]["TableStatus"] != "ACTIVE" {}
        };
        tokio::time::timeout(PATIENCE, active).await.expect("the table is made");
        environment.vars.insert("TALLIES_TABLE".to_owned(), table.clone());
        Counter { dynamo: self.dynamo.clone(), table, environment }
    }

    fn endpoint(&self) -> &str {
        self.service.stack.dynamodb_endpoint()
    }
}

impl Counter {
    /// The function, directly on DynamoDB.
    async fn function(&self) -> Alone {
        Alone::start("tally-jobs", self.environment.clone()).await
    }

    /// The function, with another address of DynamoDB.
    async fn function_at(&self, endpoint: &str) -> Alone {
        let mut environment = self.environment.clone();
        environment.vars.insert("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), endpoint.to_owned());
        Alone::start("tally-jobs", environment).await
    }

    /// The function, with a meter that counts its units.
    async fn metered(&self) -> (Alone, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        let environment = Environment { meter: Some(Arc::clone(&meter)), ..self.environment.clone() };
        (Alone::start("tally-jobs", environment).await, meter)
    }

    async fn counts(&self) -> Counts {
        counts_of(&self.dynamo.scan(&self.table).await)
    }

    /// The counts must equal a recount of these writes.
    #[track_caller]
    fn expect(&self, writes: &[Write]) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let expected = recount(writes);
        async move {
            let counts = self.counts().await;
            let different: Vec<_> = expected
                .keys()
                .chain(counts.keys())
                .filter(|bucket| expected.get(*bucket) != counts.get(*bucket))
                .map(|bucket| format!("{bucket:?}: {:?}, not {:?}", counts.get(bucket), expected.get(bucket)))
                .collect();
            assert!(
                different.is_empty(),
                "{caller}: after {} writes:\n{}",
                writes.len(),
                different.join("\n")
            );
        }
    }

    /// The checkpoint of a shard; empty: none.
    async fn checkpoint(&self, shard: &str) -> String {
        self.checkpoint_field(shard, "sequence").await["S"].as_str().unwrap_or_default().to_owned()
    }

    /// The count of records that could not be read.
    async fn unreadable(&self) -> u64 {
        let items = self.dynamo.scan(&self.table).await;
        let found = items.into_iter().find(|item| text(item, "bucket") == "failed");
        let count = found.and_then(|mut item| item.remove("records")).unwrap_or(Value::Null);
        count["N"].as_str().and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    async fn checkpoint_field(&self, shard: &str, name: &str) -> Value {
        let bucket = format!("checkpoint#{shard}");
        let items = self.dynamo.scan(&self.table).await;
        let found = items.into_iter().find(|item| text(item, "bucket") == bucket);
        found.and_then(|mut item| item.remove(name)).unwrap_or(Value::Null)
    }
}

/// Delivers records, which the function must accept.
#[track_caller]
fn deliver<'a>(function: &'a Alone, shard: &str, records: &[Value]) -> impl Future<Output = ()> + use<'a> {
    let caller = std::panic::Location::caller();
    let event = event(shard, records);
    async move {
        let answer = function.invoke(&event).await;
        let nothing = json!({ "state": {}, "batchItemFailures": [] });
        assert_eq!(answer, Ok(nothing), "{caller}: no state to keep, and no record to deliver again");
    }
}

/// The event of all these writes, from the beginning of the shard.
fn all_of(writes: &[Write]) -> Value {
    event(SHARD, &records(0, writes))
}
