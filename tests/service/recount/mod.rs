//! Recounts: `recount` on a whole service, whose tallies the test breaks.

mod broken;
mod crashes;
mod healthy;
mod lagging;

use jobledger_tests::dynamo::{Dynamo, Item, text as text_of};
use jobledger_tests::jobs::ingest;
use jobledger_tests::stream::{Counts, counts_of};
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// The owner of the recounts' jobs. No test checks its counts.
const AUDITOR: &str = "auditor";

/// A service, and its stored tallies.
struct RecountFixture {
    service: Service,
    tallies: TallyTable,
}

/// The items of `tallies`, read directly.
#[derive(Clone)]
struct TallyTable {
    dynamo: Dynamo,
    table: String,
}

impl RecountFixture {
    /// A service with some jobs, all counted.
    async fn start(parameters: &[(&str, &str)]) -> Self {
        let service = Service::with(parameters).await;
        let tallies = TallyTable::of(&service);
        fill(&service, "default").await;
        fill(&service, "other").await;
        service.settled().await;
        Self { service, tallies }
    }

    /// Begins a recount; returns the job's id.
    async fn begin(&self, body: &Value) -> String {
        let path = format!("/v1/admin/recount?owner={AUDITOR}");
        text(self.service.post(&path, body).expect(202).await.at("/job_id"))
    }

    /// Recounts; returns the job's result.
    async fn recount(&self, body: &Value) -> Value {
        let id = self.begin(body).await;
        self.result(&id).await
    }

    /// Waits for the end of a recount; returns its result.
    async fn result(&self, id: &str) -> Value {
        let path = format!("/v1/jobs/{id}?owner={AUDITOR}");
        let ask = async || {
            let job = self.service.get(&path).expect(200).await;
            (job.at("/status") != "running").then_some(job)
        };
        let job = self.service.eventually("the end of a recount", ask).await;
        assert_eq!(job.at("/status"), "completed", "{}", job.text);
        job.at("/result").clone()
    }

    /// The drift, by scope, without a repair.
    async fn drift(&self) -> Value {
        let result = self.recount(&json!({ "settle_seconds": 0 })).await;
        assert_eq!(result["repaired"], 0);
        result["drift"].clone()
    }
}

impl TallyTable {
    fn of(service: &Service) -> Self {
        let environment = service.stack.environment("run-background-tasks").expect("the function");
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        Self { dynamo, table: environment.vars["TALLIES_TABLE"].clone() }
    }

    /// All numbers but those of the auditor, whose jobs change them.
    async fn counts(&self) -> Counts {
        let mut counts = counts_of(&self.dynamo.scan(&self.table).await);
        counts.retain(|(scope, bucket), _| scope != AUDITOR && bucket != "total@recount");
        counts
    }

    /// All numbers of one scope: an owner's, or `*`.
    async fn counts_of(&self, scope: &str) -> Counts {
        counts_of(&self.dynamo.partition(&self.table, "scope", scope).await)
    }

    async fn item(&self, scope: &str, bucket: &str) -> Option<Item> {
        let items = self.dynamo.partition(&self.table, "scope", scope).await;
        items.into_iter().find(|item| text_of(item, "bucket") == bucket)
    }

    /// Adds to one number. If the item is missing, it is created.
    async fn spoil(&self, scope: &str, bucket: &str, cell: &str, by: i64) {
        let body = json!({
            "TableName": self.table,
            "Key": { "scope": { "S": scope }, "bucket": { "S": bucket } },
            "UpdateExpression": "ADD #cell :by",
            "ExpressionAttributeNames": { "#cell": cell },
            "ExpressionAttributeValues": { ":by": { "N": by.to_string() } },
        });
        self.dynamo.call("UpdateItem", &body).await;
    }

    async fn lose(&self, scope: &str, bucket: &str) {
        assert!(self.item(scope, bucket).await.is_some(), "{scope} {bucket}");
        let key = json!({ "scope": { "S": scope }, "bucket": { "S": bucket } });
        self.dynamo.call("DeleteItem", &json!({ "TableName": self.table, "Key": key })).await;
    }
}

/// Six jobs of two types, in two months, three days and four hours.
async fn fill(service: &Service, owner: &str) {
    let job = |number: usize, kind: &str, status: &str, created_at: &str| {
        let mut job = json!({
            "external_id": format!("job-{number}"), "type": kind, "status": status, "created_at": created_at,
        });
        if status != "queued" {
            job["started_at"] = json!("2026-02-01T10:00:00Z");
        }
        if ["completed", "failed"].contains(&status) {
            job["completed_at"] = json!("2026-02-01T10:00:05Z");
        }
        if status == "failed" {
            job["error"] = json!("it broke");
        }
        job
    };
    let jobs = json!([
        job(0, "a", "queued", "2026-01-11T05:11:00Z"),
        job(1, "a", "completed", "2026-01-11T05:59:59.999Z"),
        job(2, "b", "running", "2026-01-11T05:11:30Z"),
        job(3, "a", "failed", "2026-01-11T06:00:00Z"),
        job(4, "b", "queued", "2026-01-31T23:59:59.999Z"),
        job(5, "a", "queued", "2026-02-01T00:00:00Z"),
    ]);
    if owner == "default" {
        assert_eq!(ingest(service, &jobs).await, [6, 0, 0, 0]);
    } else {
        let path = format!("/v1/admin/ingest/jobs?owner={owner}");
        service.post(&path, &jobs).expect(200).await;
    }
}
