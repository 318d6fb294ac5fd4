//! `export-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(export_jobs::FUNCTION)
}
