//! Work that goes on after the answer: `run-background-tasks` by itself, sent what Lambda sends, on tasks that nobody else does.

mod crashes;
mod deliveries;
