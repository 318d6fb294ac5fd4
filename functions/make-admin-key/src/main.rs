//! `make-admin-key` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(make_admin_key::FUNCTION)
}
