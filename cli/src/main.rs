//! `jobledger ingest FILE` brings jobs from files of any size into a jobledger, with a progress bar, and goes on where it stopped.
//!
//! - The file is read as a stream: never more is held than one call's jobs ([`call::MAX_BODY_BYTES`]) and one job more
//!   ([`source::MAX_JOB_BYTES`]).
//! - Jobs go in the order of the file, one call at a time, and no call names an `external_id` twice: of several lines about one
//!   job, the last one wins.
//! - After every call that was confirmed, a file beside the source tells how many jobs are dealt with, and their SHA-256. The
//!   service upserts, so a call whose answer was lost is sent again.
//! - The key is never an argument, which other users of the machine can see, and neither key nor jobs are ever shown.

use std::process::ExitCode;

use clap::Parser as _;
use jobledger_client::chain;

use crate::error::Error;
use crate::options::{Cli, Command, Environment};
use crate::run::ingest;

mod answer;
mod call;
mod clock;
mod display;
mod error;
mod http;
mod options;
mod rejected;
mod run;
mod source;
mod state;
mod stop;
mod summary;

fn main() -> ExitCode {
    let Cli { command: Command::Ingest(options) } = Cli::parse();
    // One thread beside this one, so that signals are heard while a file is read.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let (summary, ended) = match runtime {
        Ok(runtime) => runtime.block_on(ingest(&options, environment())),
        Err(error) => (None, Err(Error::Machine(error))),
    };
    if let Some(summary) = &summary {
        summary.print(options.json);
    }
    match ended {
        Ok(()) => ExitCode::from(summary.map_or(0, |summary| summary.exit_code())),
        Err(error) => {
            eprintln!("error: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the edge: here the process's environment comes in")]
fn environment() -> Environment {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Environment { url: set("JOBLEDGER_URL"), key: set("JOBLEDGER_KEY") }
}
