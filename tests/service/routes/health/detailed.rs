//! `GET /health/detailed`.

use std::collections::BTreeSet;

use jobledger::Environment;
use jobledger::domain::Timestamp;
use jobledger::lambda::system_clock;
use jobledger_tests::alone::{Alone, Request};
use jobledger_tests::faults::{Fault, Proxy, Seen};
use jobledger_tests::problems::refuses;
use jobledger_tests::{Reply, Service, clock};
use serde_json::{Value, json};

/// A service, and its function behind a proxy, by the test's clock.
struct Checked {
    service: Service,
    proxy: Proxy,
    function: Alone,
    began: Timestamp,
}

impl Checked {
    async fn start() -> Self {
        let service = Service::start().await;
        let began = system_clock();
        clock::set(began);
        let proxy = Proxy::start(service.stack.dynamodb_endpoint()).await;
        let function = Self::function(&service, "detailed-health", proxy.url()).await;
        Self { service, proxy, function, began }
    }

    async fn function(service: &Service, name: &str, endpoint: &str) -> Alone {
        let environment = Environment { clock: clock::now, ..service.environment_at(name, endpoint) };
        Alone::start(name, environment).await
    }

    /// Sets the clock to this many seconds after the start.
    fn at(&self, seconds: i64) {
        clock::set(self.began.plus_millis(seconds * 1_000));
    }

    async fn reap(&self) {
        let reaper =
            Self::function(&self.service, "reap-leases", self.service.stack.dynamodb_endpoint()).await;
        reaper.invoke(&json!({})).await.expect("a run");
    }

    async fn check(&self) -> Reply {
        self.function.call(&Request::new("GET", "/health/detailed")).await
    }

    /// The state of everything that is not healthy.
    async fn ills(&self) -> (u16, String, Vec<(String, String)>) {
        let reply = self.check().await;
        let services = reply.at("/services").as_object().expect("services").iter();
        let states = services.map(|(name, service)| (name.clone(), text(&service["state"])));
        (reply.status, text(reply.at("/overall")), states.filter(|(_, state)| state != "healthy").collect())
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn ill(name: &str, state: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), state.to_owned())]
}

/// Whether a request is to this table.
fn is_of(seen: &Seen, table: &str) -> bool {
    seen.body["TableName"].as_str().is_some_and(|name| name.ends_with(table))
}

#[tokio::test]
async fn everything_has_a_state_a_time_and_a_latency() {
    let service = Service::start().await;
    let reply = service.anonymous("GET", "/health/detailed").expect(200).await;
    let services = reply.at("/services").as_object().expect("services");
    let names: BTreeSet<_> = services.keys().map(String::as_str).collect();
    let tables =
        ["jobs_table", "records_table", "settings_table", "tallies_table", "tasks_table", "usage_table"];
    assert_eq!(names, tables.into_iter().chain(["counting", "reaper"]).collect());
    for name in tables {
        assert_eq!(services[name]["state"], "healthy", "{}", reply.text);
        assert_eq!(services[name]["since"], *reply.at("/checked_at"), "{}", reply.text);
        assert!(services[name]["latency_ms"].is_u64(), "{}", reply.text);
    }
    assert_eq!((reply.at("/overall"), services["counting"]["lag_ms"].is_u64()), (&json!("healthy"), true));
    // No table has its name there, and no address is told.
    for word in ["arn:", "http", "127.0.0.1", "JobsTable"] {
        assert!(!reply.text.contains(word), "{}", reply.text);
    }
}

#[tokio::test]
async fn the_query_takes_no_names() {
    let service = Service::shared().await;
    let reply = service.anonymous("GET", "/health/detailed?deep=1").send().await;
    refuses(&reply, 422, "invalid_query", &["deep"]);
}

#[tokio::test]
async fn a_silent_reaper_degrades_the_service() {
    let checked = Checked::start().await;
    assert_eq!(checked.ills().await, (200, "healthy".to_owned(), ill("reaper", "unknown")));
    checked.reap().await;
    checked.at(180);
    assert_eq!(checked.ills().await, (200, "healthy".to_owned(), Vec::new()));
    checked.at(186);
    assert_eq!(checked.ills().await, (200, "degraded".to_owned(), ill("reaper", "degraded")));
    checked.at(192);
    let reply = checked.check().await;
    assert_eq!(reply.at("/services/reaper/last_run_at"), &json!(checked.began), "{}", reply.text);
    // It has been so since the checkup before.
    let since = checked.began.plus_millis(186_000);
    assert_eq!(reply.at("/services/reaper/since"), &json!(since), "{}", reply.text);
}

#[tokio::test]
async fn a_table_that_fails_or_hangs_is_unhealthy() {
    let checked = Checked::start().await;
    checked.reap().await;
    for (seconds, fault) in [(10, Fault::broken()), (20, Fault::Held), (30, Fault::refused())] {
        checked.at(seconds);
        checked.proxy.plan(move |seen| if is_of(seen, "RecordsTable") { fault.clone() } else { Fault::None });
        assert_eq!(checked.ills().await, (200, "degraded".to_owned(), ill("records_table", "unhealthy")));
    }
    let reply = checked.check().await;
    assert_eq!(reply.at("/services/records_table/latency_ms"), &Value::Null, "{}", reply.text);
    assert_eq!(reply.at("/services/records_table/since"), &json!(checked.began.plus_millis(10_000)));
    for (seconds, table, name) in [(40, "JobsTable", "jobs_table"), (50, "SettingsTable", "settings_table")] {
        checked.at(seconds);
        checked.proxy.plan(move |seen| if is_of(seen, table) { Fault::broken() } else { Fault::None });
        assert_eq!(checked.ills().await, (503, "unhealthy".to_owned(), ill(name, "unhealthy")));
    }
    checked.at(60);
    checked.proxy.plan(|seen| if is_of(seen, "TalliesTable") { Fault::broken() } else { Fault::None });
    let (status, overall, ills) = checked.ills().await;
    assert_eq!((status, overall.as_str()), (200, "degraded"));
    let expected = [("counting", "unknown"), ("reaper", "unknown"), ("tallies_table", "unhealthy")];
    assert_eq!(ills, expected.map(|(name, state)| (name.to_owned(), state.to_owned())));
    checked.at(70);
    checked.proxy.heal();
    assert_eq!(checked.ills().await, (200, "healthy".to_owned(), Vec::new()));
}

#[tokio::test]
async fn counts_that_stand_still_degrade_the_service() {
    let checked = Checked::start().await;
    checked.reap().await;
    checked.proxy.plan(|seen| if seen.operation == "UpdateItem" { Fault::broken() } else { Fault::None });
    checked.check().await;
    checked.at(59);
    assert_eq!(checked.ills().await, (200, "healthy".to_owned(), Vec::new()));
    checked.at(65);
    assert_eq!(checked.ills().await, (200, "degraded".to_owned(), ill("counting", "degraded")));
    let reply = checked.check().await;
    assert_eq!(reply.at("/services/counting/lag_ms"), &json!(65_000), "{}", reply.text);
}

#[tokio::test]
async fn a_checkup_is_remembered_for_five_seconds() {
    let checked = Checked::start().await;
    let first = checked.check().await;
    let requests = checked.proxy.seen().len();
    assert!(requests > 0);
    checked.at(4);
    for _ in 0..20 {
        assert_eq!(checked.check().await.json, first.json);
    }
    assert_eq!(checked.proxy.seen().len(), requests, "no request more");
    checked.at(5);
    let second = checked.check().await;
    assert_eq!(second.at("/checked_at"), &json!(checked.began.plus_millis(5_000)), "{}", second.text);
    // A probe comes once a minute.
    assert_eq!(checked.proxy.seen().len(), 2 * requests - 1);
}
