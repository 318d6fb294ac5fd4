//! `create-job` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(create_job::FUNCTION)
}
