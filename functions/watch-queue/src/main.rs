//! `watch-queue` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(watch_queue::FUNCTION)
}
