//! `type-settings` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(type_settings::FUNCTION)
}
