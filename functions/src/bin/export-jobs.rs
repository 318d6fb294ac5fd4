//! `export-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::jobs::export::stream::FUNCTION)
}
