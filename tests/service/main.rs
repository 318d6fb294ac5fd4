//! The service from outside. `routes/` mirrors the functions. Tests that concern all routes stand beside it.

mod access;
// It has the longest test. Tests start in the order of their names, and its name makes it start early.
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
mod monitoring;
mod numbers;
mod panics;
mod places;
mod planned;
mod progress;
mod proxies;
mod quota;
mod rates;
mod reaper;
mod recount;
mod routes;
mod steps;
mod stored_bytes;
mod telemetry;
mod template;
mod tidy;
mod traces;
mod upgrade;
