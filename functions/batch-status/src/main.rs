//! `batch-status` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(batch_status::FUNCTION)
}
