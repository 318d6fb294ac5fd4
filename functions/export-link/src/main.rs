//! `export-link` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(export_link::FUNCTION)
}
