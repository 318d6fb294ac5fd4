//! `schedule-recount` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(schedule_recount::FUNCTION)
}
