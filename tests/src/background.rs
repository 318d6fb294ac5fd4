//! `run-background-tasks` by itself, on tasks that no other runner takes.

use std::time::Duration;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use serde_json::{Value, json};

use crate::alone::{Alone, Request};
use crate::dynamo::{Dynamo, Item};
use crate::jobs::{ingest_many, total};
use crate::{PATIENCE, Service, text};

/// A stack for jobs and counts; beside it a table of tasks whose stream the stack does not read.
pub struct BackgroundFixture {
    /// The stack.
    pub service: Service,
    /// Its DynamoDB.
    pub dynamo: Dynamo,
    /// The table of tasks.
    pub table: String,
}

impl BackgroundFixture {
    /// Starts the stack.
    pub async fn start() -> Self {
        let service = Service::start().await;
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        let environment = service.stack.environment("run-background-tasks").expect("the function");
        let table = format!("{}-beside", environment.vars["TASKS_TABLE"]);
        let made = json!({
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "task_id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "task_id", "KeyType": "HASH" }],
        });
        dynamo.call("CreateTable", &made).await;
        let what = json!({ "TableName": table });
        let active =
            async { while dynamo.call("DescribeTable", &what).await["Table"]["TableStatus"] != "ACTIVE" {} };
        tokio::time::timeout(PATIENCE, active).await.expect("the table is made");
        Self { service, dynamo, table }
    }

    /// The address of its DynamoDB.
    pub fn endpoint(&self) -> &str {
        self.service.stack.dynamodb_endpoint()
    }

    /// A function on these tasks, over the DynamoDB at this address.
    pub async fn function(&self, name: &str, endpoint: &str, clock: fn() -> Timestamp) -> Alone {
        let mut environment = Environment { clock, ..self.service.environment_at(name, endpoint) };
        environment.vars.insert("TASKS_TABLE".to_owned(), self.table.clone());
        Alone::start(name, environment).await
    }

    /// The runner of background tasks.
    pub async fn runner(&self) -> Alone {
        self.function("run-background-tasks", self.endpoint(), system_clock).await
    }

    /// A runner for whose clock every earlier claim is over.
    pub async fn later_runner(&self) -> Alone {
        self.function("run-background-tasks", self.endpoint(), later).await
    }

    /// A runner with time for one part of a task in each invocation.
    pub async fn hasty_runner(&self) -> Alone {
        self.runner().await.ends_in(Duration::from_secs(1))
    }

    /// Creates a bulk job that no runner takes; returns its id.
    pub async fn begin(&self, action: &str, kind: &str) -> String {
        let function = self.function("bulk-jobs", self.endpoint(), system_clock).await;
        let body = json!({ "action": action, "filter": { "type": kind } });
        let reply = function.call(&Request::new("POST", "/v1/jobs/bulk").body(body.to_string())).await;
        assert_eq!(reply.status, 202, "{}", reply.text);
        text(reply.at("/job_id"))
    }

    /// Ingests jobs of a type, and creates a bulk job for them.
    pub async fn begin_with(&self, action: &str, kind: &str, count: usize, statuses: &[&str]) -> String {
        ingest_many(&self.service, "default", kind, count, statuses).await;
        self.begin(action, kind).await
    }

    /// All tasks.
    pub async fn tasks(&self) -> Vec<Item> {
        self.dynamo.scan(&self.table).await
    }

    /// The task of this id.
    pub async fn task(&self, id: &str) -> Option<Item> {
        self.dynamo.partition(&self.table, "task_id", id).await.pop()
    }

    /// The job of this id, as `GET` returns it.
    pub async fn job(&self, id: &str) -> Value {
        self.service.get(&format!("/v1/jobs/{id}")).expect(200).await.json
    }

    /// The job must be completed with these numbers, and its task deleted.
    #[track_caller]
    pub fn is_done(&self, id: &str, action: &str, changed: usize) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let numbers =
            json!({ "action": action, "matched": changed, "changed": changed, "skipped": 0, "failed": 0 });
        async move {
            let job = self.job(id).await;
            assert_eq!((&job["status"], &job["result"]), (&json!("completed"), &numbers), "{caller}: {job}");
            assert_eq!(self.task(id).await, None, "{caller}");
        }
    }

    /// How many jobs a list has.
    pub async fn total(&self, query: &str) -> u64 {
        total(&self.service, query).await
    }
}

/// An hour from now.
pub fn later() -> Timestamp {
    system_clock().plus_hours(1)
}

/// The event that Lambda sends when this task is written.
pub fn event(id: &str) -> Value {
    json!({ "Records": [{
        "eventID": "1",
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": { "Keys": { "task_id": { "S": id } }, "SequenceNumber": "1", "StreamViewType": "NEW_IMAGE" },
    }] })
}

/// Delivers the event of a task, which must succeed.
#[track_caller]
pub fn deliver<'a>(function: &'a Alone, id: &str) -> impl Future<Output = ()> + use<'a> {
    let caller = std::panic::Location::caller();
    let event = event(id);
    async move {
        assert_eq!(function.invoke(&event).await, Ok(json!({ "batchItemFailures": [] })), "{caller}");
    }
}
