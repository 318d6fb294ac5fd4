//! The real process: killed in the middle, started again, and ended in order.

mod ingest;
mod kills;
mod pool;
mod process;
mod tries;
