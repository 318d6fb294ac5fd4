//! `get-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(get_job::FUNCTION)
}
