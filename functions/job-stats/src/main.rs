//! `job-stats` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(job_stats::FUNCTION)
}
