//! `tally-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::streams::tally_jobs::FUNCTION)
}
