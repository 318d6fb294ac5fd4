//! `costs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(costs::FUNCTION)
}
