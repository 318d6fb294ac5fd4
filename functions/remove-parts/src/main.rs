//! `remove-parts` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(remove_parts::FUNCTION)
}
