//! A store over an embedded engine of its own.

use jobledger::domain::Head;
use jobledger::store::{Ledger, head_row};
use jobledger_tests::direct::environment;
use jobledger_tests::engine::Engine;

/// A ledger over an engine of its own.
pub(crate) async fn start() -> Ledger {
    Ledger::open(&environment(&Engine::start())).await.expect("a ledger")
}

/// Stores heads as they are.
pub(crate) async fn store(ledger: &Ledger, heads: impl IntoIterator<Item = &Head>) {
    let rows = heads.into_iter().map(|head| head_row(head).expect("a row")).collect();
    ledger.store.batch_put(&ledger.config.tables.jobs, rows).await.expect("stored");
}
