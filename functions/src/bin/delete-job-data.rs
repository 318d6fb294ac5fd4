//! `delete-job-data` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::streams::delete_job_data::FUNCTION)
}
