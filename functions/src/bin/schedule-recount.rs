//! `schedule-recount` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::schedules::recount::FUNCTION)
}
