//! `/api/metrics`: a read-only way to the operator's metrics store, for admins, as the store holds the numbers of all owners.

use jobledger::access::StoredAccess;
use jobledger::http::{Backend, Problem, Served, Serves, function};
use jobledger::metrics_store::{MetricsError, MetricsStore};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};

pub mod health;
pub mod query_range;
pub mod services;

/// The function.
pub const FUNCTION: Function = function::<QueryMetrics>();

const NAME: &str = "query-metrics";

/// `/api/metrics/query_range`, `/api/metrics/services` and `/api/metrics/health`.
#[derive(Debug)]
pub struct QueryMetrics;

impl Serves for QueryMetrics {
    const NAME: &'static str = NAME;
    type Backend = Asking;
    const ROUTES: &'static [Served<Asking>] = &[
        Served::of::<query_range::QueryRange>(),
        Served::of::<services::ListServices>(),
        Served::of::<health::StoreHealth>(),
    ];
}

/// The way to the store.
#[derive(Debug)]
pub struct Asking(MetricsStore);

impl Backend for Asking {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let ledger = Ledger::open(environment).await?;
        let access = StoredAccess::new(&ledger);
        Ok((Self(MetricsStore::open(environment)?), access))
    }
}

/// The words of a caller that sends `?owner=`.
const NO_OWNER: &str = "must be left out: the store holds the numbers of all owners";

/// Each error as a problem that tells whose fault it is.
fn problem(error: MetricsError) -> Problem {
    match error {
        MetricsError::NotSet => Problem::no_metrics_store(),
        MetricsError::WrongQuery(_) => Problem::refused_metrics_query(&error),
        MetricsError::Refused(_) | MetricsError::Unreachable(_) => Problem::metrics_store_failed(error),
        MetricsError::TimedOut(_) => Problem::metrics_store_timeout(error),
    }
}
