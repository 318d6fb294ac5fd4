//! `costs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::analytics::cost::FUNCTION)
}
