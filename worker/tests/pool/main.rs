//! A worker against a service that a test speaks for, over loopback. Nothing waits for time: every step waits for what it
//! is about to look at.

#![expect(clippy::unwrap_used, reason = "a mock that does not work is a test that fails")]

mod claims;
mod ends;
mod mock;
mod progress;
mod reports;
mod shown;
mod stop;
