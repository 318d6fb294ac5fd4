//! `create-admin-key` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::keys::create_admin::FUNCTION)
}
