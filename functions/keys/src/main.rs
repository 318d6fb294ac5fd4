//! `keys` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(keys::FUNCTION)
}
