//! `recount` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(recount::FUNCTION)
}
