//! Leases that expire. Each test runs `reap-leases` at its own times, on jobs that workers claimed and abandoned.

mod crashes;
mod metrics;
mod runs;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::dynamo::{Dynamo, Item, text as text_of};
use jobledger_tests::jobs::create;
use jobledger_tests::{Service, text};
use serde_json::{Value, json};

/// A stack, and its stored items.
struct ReaperFixture {
    service: Service,
    dynamo: Dynamo,
    names: Environment,
}

/// The reaper's own numbers: attempts that it ended, by result, and jobs that had changed meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ended {
    queued: u64,
    failed: u64,
    changed: u64,
    errors: u64,
}

const NOTHING: Ended = Ended { queued: 0, failed: 0, changed: 0, errors: 0 };

/// Milliseconds of ten minutes. In the first minute of them, the reaper looks at all owners.
const TEN_MINUTES: i64 = 600_000;

/// The beginning of a period of ten minutes, this many periods from now.
fn tens(ahead: i64) -> Timestamp {
    Timestamp::from_millis((system_clock().millis() / TEN_MINUTES + ahead) * TEN_MINUTES)
}

/// About an hour from now, when every lease is over; not in a minute in which the reaper looks at all owners.
fn later() -> Timestamp {
    tens(6).plus_millis(300_000)
}

/// Later still: by then, each job that the reaper queued again at [`later`] is due.
fn much_later() -> Timestamp {
    tens(24).plus_millis(300_000)
}

/// As late as [`later`], in a minute in which the reaper looks at all owners.
fn thorough() -> Timestamp {
    tens(6).plus_millis(1_000)
}

/// A recent time, not in a minute in which the reaper looks at all owners: no lease is over.
fn before() -> Timestamp {
    tens(-1).plus_millis(300_000)
}

impl ReaperFixture {
    async fn start() -> Self {
        let service = Service::start().await;
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        let names = service.stack.environment("reap-leases").expect("the function");
        Self { service, dynamo, names }
    }

    fn table(&self, name: &str) -> &str {
        &self.names.vars[name]
    }

    /// A function with this clock, over the DynamoDB at this address.
    async fn function(&self, name: &str, endpoint: &str, clock: fn() -> Timestamp) -> Alone {
        let environment = Environment { clock, ..self.service.environment_at(name, endpoint) };
        Alone::start(name, environment).await
    }

    async fn watcher(&self, clock: fn() -> Timestamp) -> Alone {
        self.function("reap-leases", self.service.stack.dynamodb_endpoint(), clock).await
    }

    /// Waits until all is counted, and runs the reaper at this time.
    async fn look(&self, clock: fn() -> Timestamp) -> Value {
        self.service.settled().await;
        look(&self.watcher(clock).await).await
    }

    /// Expects a run at this time to end this many attempts.
    #[track_caller]
    fn ends(&self, clock: fn() -> Timestamp, expect: Ended) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let watched = self.look(clock).await;
            assert_eq!((ended(&watched), &watched["whole"]), (expect, &json!(true)), "{caller}: {watched}");
        }
    }

    /// Creates a job and lets the worker `w` claim it; returns its id and its token.
    async fn claimed(&self, job: &Value) -> (String, String) {
        let id = create(&self.service, job).await;
        let body = json!({ "worker_id": "w", "types": [job["type"]], "lease_seconds": 10 });
        let reply = self.service.post("/v1/jobs/claim", &body).expect(200).await;
        let claimed = reply.at("/jobs/0");
        assert_eq!(claimed["job_id"], id.as_str(), "{}", reply.text);
        (id, text(&claimed["lease_token"]))
    }

    /// Lets the worker `w2` claim a job of this type at this time.
    async fn claims_at(&self, clock: fn() -> Timestamp, kind: &str) -> Vec<Value> {
        let function = self.function("claim-jobs", self.service.stack.dynamodb_endpoint(), clock).await;
        let body = json!({ "worker_id": "w2", "types": [kind], "lease_seconds": 10 });
        let reply = function.call(&Request::new("POST", "/v1/jobs/claim").body(body.to_string())).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.at("/jobs").as_array().expect("jobs").clone()
    }

    async fn job(&self, id: &str) -> Value {
        self.service.get(&format!("/v1/jobs/{id}")).expect(200).await.json
    }

    /// The used slots of a type.
    async fn slots(&self, kind: &str) -> u64 {
        let id = format!("default#{kind}");
        let items = self.dynamo.scan(self.table("SETTINGS_TABLE")).await;
        let item =
            items.iter().find(|item| (text_of(item, "kind"), text_of(item, "id")) == ("types", id.as_str()));
        let item = item.expect("the type");
        item.get("running").map_or(0, |count| text(&count["N"]).parse().expect("a number"))
    }

    async fn limit(&self, kind: &str, settings: &Value) {
        self.service.call("PUT", &format!("/v1/types/{kind}")).json(settings).expect(200).await;
    }

    async fn head(&self, id: &str) -> Item {
        let items = self.dynamo.partition(self.table("JOBS_TABLE"), "job_id", id).await;
        items.into_iter().find(|item| text_of(item, "part") == "head").expect("the head")
    }

    /// The reaper's last note for the metrics.
    async fn note(&self) -> Option<Item> {
        let items = self.dynamo.scan(self.table("TALLIES_TABLE")).await;
        items.into_iter().find(|item| text_of(item, "bucket") == "queue")
    }
}

async fn look(watcher: &Alone) -> Value {
    watcher.invoke(&json!({ "id": "1", "source": "aws.events" })).await.expect("a look")
}

fn ended(watched: &Value) -> Ended {
    let count = |name: &str| watched[name].as_u64().expect("a count");
    Ended {
        queued: count("queued"),
        failed: count("failed"),
        changed: count("changed"),
        errors: count("errors"),
    }
}
