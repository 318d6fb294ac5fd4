//! The service from outside. `routes/` mirrors the functions; what concerns all of them stands beside it.

mod access;
mod audit;
mod bad_days;
mod capacity;
mod counting;
mod log;
mod numbers;
mod packed;
mod progress;
mod quota;
mod rates;
mod recount;
mod routes;
mod steps;
mod stored_bytes;
mod tasks;
mod template;
mod tidy;
mod tries;
mod watching;
