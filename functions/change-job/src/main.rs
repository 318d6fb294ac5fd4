//! `change-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(change_job::FUNCTION)
}
