//! The jobs, as functions use them.

use super::Ledger;

/// The jobs of a ledger: each operation on them stands beside the code that does it.
#[derive(Clone, Copy, Debug)]
pub struct Jobs<'a> {
    pub(crate) ledger: &'a Ledger,
}

impl Ledger {
    /// The jobs.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs { ledger: self }
    }
}
