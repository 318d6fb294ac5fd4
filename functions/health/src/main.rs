fn main() -> Result<(), jobledger::Error> {
    jobledger::run(health::FUNCTION)
}
