//! A worker with three tools. See README.md.
fn main() {}
