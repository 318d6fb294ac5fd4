//! `bulk-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(bulk_jobs::FUNCTION)
}
