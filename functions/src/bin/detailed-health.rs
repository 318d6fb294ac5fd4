//! `detailed-health` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::health::detailed::FUNCTION)
}
