//! `jobledger ingest FILE`

use std::process::ExitCode;

use clap::Parser as _;
use jobledger_cli::{Cli, Command, Environment, Error, chain, ingest};

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
