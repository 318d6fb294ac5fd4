//! A worker against a service that the test scripts, over loopback. No test waits for time: every step waits for the
//! state that it checks.

#![expect(clippy::unwrap_used, reason = "a mock that does not work is a test that fails")]

mod claims;
mod ends;
mod mock;
mod progress;
mod reports;
mod shown;
mod stop;
