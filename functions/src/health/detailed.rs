//! `GET /health/detailed`: whether the tables, the counting and the reaper work, and since when.

use std::collections::BTreeMap;

use jobledger::access::StoredAccess;
use jobledger::counts::{Checker, Checkup, Component, Finding, Health};
use jobledger::domain::Timestamp;
use jobledger::http::{Access, Answer, Backend, Call, Problem, Route, RouteKey, function};
use jobledger::metrics_store::MetricsStore;
use jobledger::store::{Ledger, Table};
use jobledger::{Environment, Error, Function};
use lambda_http::http::StatusCode;
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<DetailedHealth>();

/// `GET /health/detailed`.
#[derive(Debug)]
pub struct DetailedHealth;

#[derive(Serialize)]
struct Body {
    overall: &'static str,
    checked_at: Timestamp,
    services: BTreeMap<&'static str, Service>,
}

#[derive(Serialize)]
struct Service {
    state: &'static str,
    since: Timestamp,
    latency_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_run_at: Option<Timestamp>,
}

/// The means of a checkup, kept from one to the next.
#[derive(Debug)]
pub struct Checking {
    ledger: Ledger,
    metrics: MetricsStore,
    checker: Checker,
}

impl Route for DetailedHealth {
    const NAME: &'static str = "detailed-health";
    const KEY: RouteKey = RouteKey::get("/health/detailed");
    const ACCESS: Access = Access::Open;
    const MAX_BODY_BYTES: usize = 0;
    type Backend = Checking;

    async fn answer(mut call: Call<'_, Checking>) -> Result<Answer, Problem> {
        call.query.finish(Some(()))?;
        let Checking { ledger, metrics, checker } = call.backend;
        let checkup = checker.check(ledger, metrics, call.now).await;
        let overall = checkup.overall();
        let status =
            if overall == Health::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        let Checkup { checked_at, findings } = checkup;
        let services = findings.into_iter().map(|(component, finding)| (name(component), service(finding)));
        Ok(Answer::json(status, &Body { overall: word(overall), checked_at, services: services.collect() }))
    }
}

fn service(finding: Finding) -> Service {
    let Finding { health, since, latency_ms, lag_ms, last_run_at } = finding;
    Service { state: word(health), since, latency_ms, lag_ms, last_run_at }
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Unhealthy => "unhealthy",
        Health::Unknown => "unknown",
    }
}

fn name(component: Component) -> &'static str {
    match component {
        Component::Table(Table::Jobs) => "jobs_table",
        Component::Table(Table::Tallies) => "tallies_table",
        Component::Table(Table::Settings) => "settings_table",
        Component::Table(Table::Tasks) => "tasks_table",
        Component::Table(Table::Records) => "records_table",
        Component::Table(Table::Usage) => "usage_table",
        Component::Counting => "counting",
        Component::Reaper => "reaper",
        Component::MetricsStore => "metrics_store",
    }
}

impl Backend for Checking {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let ledger = Ledger::open(environment).await?;
        let access = StoredAccess::new(&ledger);
        let metrics = MetricsStore::open(environment)?;
        Ok((Self { ledger, metrics, checker: Checker::default() }, access))
    }
}
