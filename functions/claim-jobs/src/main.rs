//! `claim-jobs` as a process.

fn main() -> Result<(), jobledger::Error> {
    jobledger::run(claim_jobs::FUNCTION)
}
