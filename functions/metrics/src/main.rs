fn main() -> Result<(), jobledger::Error> {
    jobledger::run(metrics::FUNCTION)
}
