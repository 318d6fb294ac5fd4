//! `count-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(count_jobs::FUNCTION)
}
