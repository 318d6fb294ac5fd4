//! A store over its own embedded engine.

use jobledger::domain::Head;
use jobledger::store::{Ledger, head_row};
use jobledger_tests::direct::environment;
use jobledger_tests::engine::Engine;

/// A ledger over its own engine.
pub(crate) async fn start() -> Ledger {
    Ledger::open(&environment(&Engine::start())).await.expect("a ledger")
}

/// Stores these heads unchanged.
pub(crate) async fn store(ledger: &Ledger, heads: impl IntoIterator<Item = &Head>) {
    let rows = heads.into_iter().map(|head| head_row(head).expect("a row")).collect();
    ledger.store.batch_put(&ledger.config.tables.jobs, rows).await.expect("stored");
}
