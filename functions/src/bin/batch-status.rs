//! `batch-status` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::jobs::batch_status::FUNCTION)
}
