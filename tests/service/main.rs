//! The service from outside. `routes/` mirrors the functions; tests of all of them stand beside it.

mod access;
// By its name it starts early: it holds the longest test, and tests start in the order of their names.
mod accounting_log;
mod answers;
mod attempts;
mod audit;
mod background;
mod body_forms;
mod capacity;
mod compressed_answers;
mod compressed_bodies;
mod counting;
mod cross_origin;
mod faults;
mod known_answers;
mod numbers;
mod panics;
mod progress;
mod proxies;
mod quota;
mod rates;
mod reaper;
mod recount;
mod routes;
mod steps;
mod stored_bytes;
mod template;
mod tidy;
mod upgrade;
