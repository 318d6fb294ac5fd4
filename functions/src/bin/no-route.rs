//! `no-route` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(jobledger_functions::no_route::FUNCTION)
}
