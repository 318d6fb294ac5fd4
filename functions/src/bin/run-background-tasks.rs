//! `run-background-tasks` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::streams::run_background_tasks::FUNCTION)
}
