//! `metrics` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(metrics::FUNCTION)
}
