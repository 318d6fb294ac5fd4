//! `delete-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(delete_job::FUNCTION)
}
