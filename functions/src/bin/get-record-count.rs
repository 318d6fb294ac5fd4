//! `get-record-count` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::records::count::FUNCTION)
}
