//! The command as a process: against a service whose failures the test plans, and against the real one.

#![expect(clippy::unwrap_used, reason = "a process or a mock that does not work is a test that fails")]

mod command;
mod failures;
mod inputs;
mod large;
mod mock;
mod rejected;
mod resume;
mod service;
mod stops;
