//! `record` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(record::FUNCTION)
}
