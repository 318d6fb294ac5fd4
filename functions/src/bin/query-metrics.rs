//! `query-metrics` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::api::metrics::FUNCTION)
}
