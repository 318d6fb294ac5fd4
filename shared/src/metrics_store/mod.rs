//! The operator's metrics store: a Prometheus, or a server with its API, which is asked and never written to.
//!
//! `range` reads what a caller asks for, `send` sends it, `sign` signs it for AWS, and `answer` reads what comes back.

mod answer;
mod range;
mod send;
mod sign;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;

pub use range::{RangeQuery, moment, step};
use send::Sender;

use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::store::ConfigError;

/// Any error on the way to the store.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The variable with the address of the store; empty or absent: there is none.
const URL: &str = "METRICS_QUERY_URL";
/// Most series of `up` that are shown.
const MAX_SERVICES: usize = 1_000;
/// Longest wait for a query.
const PATIENCE: Duration = Duration::from_secs(25);
/// Longest wait for the store to show that it works.
const SHORT_PATIENCE: Duration = Duration::from_secs(5);

/// A connection to the store.
#[derive(Debug)]
pub struct MetricsStore {
    sender: Option<Sender>,
}

/// Why the store did not answer a question.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The deployment names no store.
    #[error("METRICS_QUERY_URL is not set")]
    NotSet,
    /// The store did not understand the query; its own words.
    #[error("the metrics store refused the query: {0}")]
    WrongQuery(String),
    /// The store does not let us in, or has a fault; its own words.
    #[error("the metrics store answered {0}")]
    Refused(String),
    /// Nobody was there, or the connection broke off.
    #[error("the metrics store cannot be reached")]
    Unreachable(#[source] BoxError),
    /// It took too long.
    #[error("the metrics store did not answer within {0:?}")]
    TimedOut(Duration),
}

/// A service that the store scrapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapedService {
    /// Its labels, with `job` and `instance`.
    pub labels: BTreeMap<String, String>,
    /// Whether the last scrape succeeded.
    pub is_up: bool,
}

impl MetricsStore {
    /// The store that the environment variables name.
    ///
    /// # Errors
    ///
    /// If they name one in a wrong way.
    pub fn open(environment: &Environment) -> Result<Self, ConfigError> {
        let url = environment.vars.get(URL).filter(|url| !url.is_empty());
        Ok(Self { sender: url.map(|url| Sender::new(url, environment)).transpose()? })
    }

    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        self.sender.is_some()
    }

    /// The series of a query over a range of time, as the store has them.
    pub async fn range(&self, query: &RangeQuery, now: Timestamp) -> Result<Box<RawValue>, MetricsError> {
        let answer = self.ask("query_range", &query.form(), PATIENCE, now).await?;
        answer::series(&answer, "matrix")
    }

    /// The services that the store scrapes, at most 1,000 of them.
    pub async fn services(&self, now: Timestamp) -> Result<Vec<ScrapedService>, MetricsError> {
        let form = range::form(&[("query", "up"), ("time", &range::seconds(now.millis()))]);
        let answer = self.ask("query", &form, PATIENCE, now).await?;
        let mut services = answer::services(&answer)?;
        services.truncate(MAX_SERVICES);
        Ok(services)
    }

    /// Whether the store works: fails if it does not.
    pub async fn check(&self, now: Timestamp) -> Result<(), MetricsError> {
        let form = range::form(&[("query", "vector(1)"), ("time", &range::seconds(now.millis()))]);
        let answer = self.ask("query", &form, SHORT_PATIENCE, now).await?;
        answer::series(&answer, "vector").map(drop)
    }

    async fn ask(
        &self,
        path: &str,
        form: &str,
        patience: Duration,
        now: Timestamp,
    ) -> Result<Vec<u8>, MetricsError> {
        let sender = self.sender.as_ref().ok_or(MetricsError::NotSet)?;
        let asked = tokio::time::timeout(patience, sender.send(path, form, now)).await;
        let (status, body) = asked.map_err(|_| MetricsError::TimedOut(patience))??;
        answer::refusal(status, &body).map_or(Ok(body), Err)
    }
}
