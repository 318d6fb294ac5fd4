//! `list-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(list_jobs::FUNCTION)
}
