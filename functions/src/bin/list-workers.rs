//! `list-workers` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::workers::FUNCTION)
}
