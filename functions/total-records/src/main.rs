//! `total-records` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(total_records::FUNCTION)
}
