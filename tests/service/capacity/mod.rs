//! The cost of operations: round trips and capacity units. The engine reports them, and AWS's rules compute them from
//! the items. Both are compared with the design's table "Costs to hold". `--nocapture` shows the bills.

mod counts;
mod exports;
mod jobs;
mod keys;
mod lists;
mod numbers;
mod rates;
mod records;
mod types;
mod work;

use std::sync::Arc;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger::meter::Meter;
use jobledger_local::template::Table;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::capacity::{Consistency, Halves, get, query, write};
use jobledger_tests::dynamo::{Dynamo, Item, items_of, text};
use jobledger_tests::faults::{Proxy, Seen};
use jobledger_tests::{Reply, Service};
use serde_json::{Value, json};

/// A stack that takes and counts the jobs. The measured functions run beside it.
struct CostFixture {
    service: Service,
    dynamo: Dynamo,
    jobs: Table,
    tallies: Table,
}

/// A function with a proxy that sees its requests and a meter that counts its units.
struct Metered {
    function: Alone,
    meter: Arc<Meter>,
    proxy: Proxy,
}

/// The cost of one call.
#[derive(Clone, Debug, PartialEq)]
struct Bill {
    requests: u32,
    round_trips: u32,
    read: Halves,
    write: Halves,
}

impl CostFixture {
    async fn start() -> Self {
        let service = Service::start().await;
        let dynamo = Dynamo::at(service.stack.dynamodb_endpoint());
        let (jobs, tallies) = (table(&service, "JobsTable"), table(&service, "TalliesTable"));
        Self { service, dynamo, jobs, tallies }
    }

    fn table(&self, id: &str) -> Table {
        table(&self.service, id)
    }

    async fn metered(&self, name: &str) -> Metered {
        self.metered_by(name, system_clock).await
    }

    /// A function with this clock.
    async fn metered_by(&self, name: &str, clock: fn() -> Timestamp) -> Metered {
        let proxy = Proxy::start(self.service.stack.dynamodb_endpoint()).await;
        let meter = Arc::new(Meter::default());
        let environment = self.service.environment_at(name, proxy.url());
        let environment = Environment { meter: Some(Arc::clone(&meter)), clock, ..environment };
        Metered { function: Alone::start(name, environment).await, meter, proxy }
    }

    /// The cost of a call's reads by AWS's rules. The test repeats each read, to see the items.
    async fn reads(&self, seen: &[Seen]) -> Halves {
        let mut halves = 0;
        for Seen { operation, body, .. } in seen {
            let mut body = body.clone();
            let fields = body.as_object_mut().expect("an object");
            fields.remove("ReturnConsumedCapacity");
            fields.remove("Select");
            let consistency = match fields.get("ConsistentRead") {
                Some(Value::Bool(true)) => Consistency::Strong,
                _ => Consistency::Eventual,
            };
            halves += match operation.as_str() {
                "GetItem" => {
                    let answer = self.dynamo.call(operation, &body).await;
                    get(answer["Item"].as_object(), consistency)
                }
                "Query" => query(&items_of(&mut self.dynamo.call(operation, &body).await), consistency),
                "BatchGetItem" => self.batch_get(&body).await,
                _ => 0,
            };
        }
        halves
    }

    async fn batch_get(&self, body: &Value) -> Halves {
        let asked = body["RequestItems"].as_object().into_iter().flatten();
        let mut halves = 0;
        for (table, asked) in asked {
            let consistency =
                if asked["ConsistentRead"] == true { Consistency::Strong } else { Consistency::Eventual };
            for key in asked["Keys"].as_array().into_iter().flatten() {
                let answer = self.dynamo.call("GetItem", &json!({ "TableName": table, "Key": key })).await;
                halves += get(answer["Item"].as_object(), consistency);
            }
        }
        halves
    }

    async fn jobs(&self) -> Vec<Item> {
        self.dynamo.scan(&self.jobs.name).await
    }

    async fn tallies(&self) -> Vec<Item> {
        self.dynamo.scan(&self.tallies.name).await
    }

    /// Ingests jobs, and waits until they are counted.
    async fn ingest(&self, jobs: &[Value]) {
        for chunk in jobs.chunks(2_000) {
            let lines: Vec<String> = chunk.iter().map(ToString::to_string).collect();
            let call = self.service.call("POST", "/v1/admin/ingest/jobs").body(lines.join("\n"));
            let reply = call.expect(200).await;
            assert_eq!(reply.at("/created"), &json!(chunk.len()), "{}", reply.text);
        }
        self.service.settled().await;
    }
}

/// A table of the template.
fn table(service: &Service, id: &str) -> Table {
    let found = service.stack.template().tables.iter().find(|table| table.id == id);
    found.cloned().expect("a table of that id")
}

impl Metered {
    /// Sends a request. The caller of this method checks the writes, because it knows the items before and after.
    async fn call(&self, fixture: &CostFixture, request: &Request) -> (Reply, Bill) {
        self.proxy.heal();
        self.meter.take();
        let reply = self.function.call(request).await;
        (reply, self.bill(fixture).await)
    }

    /// Sends an event.
    async fn invoke(&self, fixture: &CostFixture, event: &Value) -> Bill {
        self.proxy.heal();
        self.meter.take();
        self.function.invoke(event).await.expect("the event is taken");
        self.bill(fixture).await
    }

    async fn bill(&self, fixture: &CostFixture) -> Bill {
        let spent = self.meter.take();
        let seen = self.proxy.seen();
        assert_eq!(u32::try_from(seen.len()), Ok(spent.requests), "the meter counts what is sent");
        let read = halves(spent.read_units);
        assert_eq!(read, fixture.reads(&seen).await, "reads as reported, and as computed: {seen:#?}");
        Bill {
            requests: spent.requests,
            round_trips: spent.round_trips,
            read,
            write: halves(spent.write_units),
        }
    }
}

impl Bill {
    fn show(&self, what: &str) {
        let units = |halves: Halves| format!("{}.{}", halves / 2, halves % 2 * 5);
        let Self { requests, round_trips, read, write } = self;
        println!(
            "{what:<55} | {requests:>2} requests | {round_trips} round trips | {:>5} read | {:>5} write",
            units(*read),
            units(*write)
        );
    }

    /// Compares the bill with the design. `read` and `write` are units, not halves.
    #[track_caller]
    fn within(&self, round_trips: u32, read: Halves, write: Halves) {
        let fits = self.round_trips <= round_trips && self.read <= 2 * read && self.write <= 2 * write;
        assert!(fits, "{self:?}, not {round_trips} round trips, {} and {} halves", 2 * read, 2 * write);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_arithmetic,
    reason = "reported units are whole halves, and few"
)]
fn halves(units: f64) -> Halves {
    let halves = units * 2.0;
    assert!((halves - halves.round()).abs() < f64::EPSILON, "{units} units are no halves");
    halves as Halves
}

/// The key of an item.
fn key(table: &Table, item: &Item) -> Vec<String> {
    table.key.iter().map(|(name, _)| text(item, name).to_owned()).collect()
}

/// Each item that changed, as it was and as it is.
fn changed<'a>(
    table: &Table,
    before: &'a [Item],
    after: &'a [Item],
) -> Vec<(Option<&'a Item>, Option<&'a Item>)> {
    let find =
        |items: &'a [Item], wanted: &Item| items.iter().find(|item| key(table, item) == key(table, wanted));
    let gone = before.iter().filter(|item| find(after, item).is_none()).map(|item| (Some(item), None));
    let others = after.iter().map(|item| (find(before, item), Some(item)));
    gone.chain(others.filter(|(old, new)| old != new)).collect()
}

/// The cost of writing each changed item once, outside of a transaction.
fn written(table: &Table, before: &[Item], after: &[Item]) -> Halves {
    changed(table, before, after).into_iter().map(|(old, new)| write(table, old, new).alone()).sum()
}

/// A completed job to ingest, created this many minutes after a day began.
fn completed(number: usize, minute: usize) -> Value {
    let time = |minute: usize| {
        format!("2026-03-{:02}T{:02}:{:02}:00.000Z", 2 + minute / 1_440, minute / 60 % 24, minute % 60)
    };
    json!({
        "external_id": format!("job-{number:06}"),
        "type": "render",
        "status": "completed",
        "created_at": time(minute),
        "started_at": time(minute + 1),
        "completed_at": time(minute + 5),
        "name": format!("scene-{number:06}.blend"),
        "labels": { "team": "pictures", "model": "cycles" },
        "cost_usd": "0.125000",
    })
}
