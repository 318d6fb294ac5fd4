//! `reap-leases` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::schedules::reap_leases::FUNCTION)
}
