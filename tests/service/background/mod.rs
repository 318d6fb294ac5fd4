//! Background tasks. Each test calls `run-background-tasks` itself, with Lambda's events, on its own tasks.

mod crashes;
mod deliveries;
