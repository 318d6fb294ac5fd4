//! `total-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(total_jobs::FUNCTION)
}
