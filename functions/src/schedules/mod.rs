//! Functions that a schedule calls.

pub mod reap_leases;
pub mod recount;
