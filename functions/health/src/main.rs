//! `health` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_health::FUNCTION)
}
