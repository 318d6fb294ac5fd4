//! `run-tasks` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(run_tasks::FUNCTION)
}
