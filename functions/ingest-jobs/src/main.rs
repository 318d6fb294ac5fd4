//! `ingest-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(ingest_jobs::FUNCTION)
}
