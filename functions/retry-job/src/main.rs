//! `retry-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(retry_job::FUNCTION)
}
