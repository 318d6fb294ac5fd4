//! `usage` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(usage::FUNCTION)
}
