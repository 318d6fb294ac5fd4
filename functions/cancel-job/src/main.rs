//! `cancel-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(cancel_job::FUNCTION)
}
