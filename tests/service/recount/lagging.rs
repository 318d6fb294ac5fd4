//! Late counts are not wrong.

use std::sync::atomic::{AtomicI64, Ordering};

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::background::{self, deliver};
use jobledger_tests::stream::{BEGIN, Write, event, queued, records};
use jobledger_tests::{PATIENCE, text};
use serde_json::{Value, json};

use super::{TallyTable, fill};

/// The step of the clock at each reading, in milliseconds.
const STEP_MS: i64 = 300_000;

/// A clock so fast that no wait takes long.
fn fast() -> Timestamp {
    static STEPS: AtomicI64 = AtomicI64::new(0);
    system_clock().plus_millis(STEPS.fetch_add(1, Ordering::Relaxed) * STEP_MS)
}

/// A fixture whose recounts read tallies without a counter.
struct Late {
    fixture: background::BackgroundFixture,
    tallies: TallyTable,
}

impl Late {
    async fn start() -> Self {
        let fixture = background::BackgroundFixture::start().await;
        fill(&fixture.service, "default").await;
        let real = TallyTable::of(&fixture.service);
        let tallies = TallyTable { table: format!("{}-late", real.table), ..real };
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let made = json!({
            "TableName": tallies.table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("scope"), attribute("bucket")],
            "KeySchema": [key("scope", "HASH"), key("bucket", "RANGE")],
        });
        tallies.dynamo.call("CreateTable", &made).await;
        let what = json!({ "TableName": tallies.table });
        let active = async {
            while tallies.dynamo.call("DescribeTable", &what).await["Table"]["TableStatus"] != "ACTIVE" {}
        };
        tokio::time::timeout(PATIENCE, active).await.expect("the table is made");
        Self { fixture, tallies }
    }

    async fn function(&self, name: &str, clock: fn() -> Timestamp) -> Alone {
        let environment = self.fixture.service.stack.environment(name).expect("the function");
        let mut environment = Environment { clock, ..environment };
        environment.vars.insert("TASKS_TABLE".to_owned(), self.fixture.table.clone());
        environment.vars.insert("TALLIES_TABLE".to_owned(), self.tallies.table.clone());
        Alone::start(name, environment).await
    }

    async fn recount(&self, clock: fn() -> Timestamp) -> Value {
        let body = json!({ "owner": "default", "settle_seconds": 0, "repair": true });
        let request = Request::new("POST", "/v1/admin/recount").body(body.to_string());
        let reply = self.function("recount", system_clock).await.call(&request).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        let id = text(reply.at("/job_id"));
        deliver(&self.function("run-background-tasks", clock).await, &id).await;
        let job = self.fixture.job(&id).await;
        assert_eq!(job["status"], "completed", "{job}");
        job["result"].clone()
    }
}

#[tokio::test]
async fn jobs_that_are_not_counted_yet_are_no_drift() {
    let late = Late::start().await;
    let result = late.recount(fast).await;
    assert_eq!((&result["drift"], &result["repaired"]), (&json!({}), &json!(0)), "{result}");
    assert!(result["busy"].as_u64() >= Some(4), "{result}");
    assert!(late.tallies.counts().await.is_empty(), "nothing was put in place of what is only late");
    // If the probe is counted, so is all before it. Missing counts are then drift.
    late.tallies.spoil("*", "probe", "at", Timestamp::MAX.millis()).await;
    late.tallies.spoil("*", "probe", "counted_at", Timestamp::MAX.millis()).await;
    let result = late.recount(system_clock).await;
    assert!(result["drift"]["default"].as_u64() > Some(0), "{result}");
    assert_ne!(late.tallies.counts().await.len(), 0);
}

/// The counter notes an owner with the first number that it counts for it.
#[tokio::test]
async fn an_owner_is_listed_from_its_first_count_on() {
    let late = Late::start().await;
    let counter = late.function("tally-jobs", system_clock).await;
    let names = ["zoe", "ann", "0", "bob:x"];
    let writes: Vec<Write> = (1..)
        .zip(names)
        .map(|(number, owner)| Write { old: None, new: Some(queued(number, owner, "a", BEGIN)) })
        .collect();
    for _ in 0..2 {
        counter.invoke(&event("shard-1", &records(0, &writes))).await.expect("it counts");
    }
    for owner in names {
        assert!(late.tallies.item("*owners", owner).await.is_some(), "{owner}");
    }
    assert_eq!(late.tallies.counts().await.keys().filter(|(scope, _)| scope == "zoe").count(), 10);
}
