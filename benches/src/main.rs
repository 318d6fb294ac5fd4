//! `cargo run --release --locked -p jobledger-bench -- --sizes 1000,100000,1000000 --out target/bench`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use jobledger_bench::queue::CREWS;
use jobledger_bench::{
    Error, MAX_CALLS, MAX_DRAINED, MAX_JOBS, MAX_SIZES, MIN_BACKLOG, MIN_JOBS, Plan, Progress, Report, run,
};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code if a promise is broken. If there is no report, the exit code is 2.
const BROKEN: u8 = 1;
const FAILED: u8 = 2;

/// Measures round trips, capacity units and milliseconds of each operation as the number of jobs grows.
///
/// Each size has a local stack of its own, in a temporary directory (TMPDIR says where) that is removed at the end.
/// Exits with 1 if units or memory break a promise, never because of speed.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// How many jobs, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000,100000,1000000",
        value_parser = clap::value_parser!(u64).range(MIN_JOBS..=MAX_JOBS),
    )]
    sizes: Vec<u64>,
    /// How many jobs wait in the queue, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1000,100000",
        value_parser = clap::value_parser!(u64).range(MIN_BACKLOG..=MAX_JOBS),
    )]
    backlogs: Vec<u64>,
    /// How many jobs each crew of workers claims and completes.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..=MAX_DRAINED))]
    drained: u64,
    /// The part to measure, if not all.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Directory for bench.md and bench.json.
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
    /// How often each operation is called.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CALLS)))]
    calls: u32,
    /// The seed from which jobs and parameters are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The day to write on the report, such as 2026-11-22.
    #[arg(long)]
    date: Option<String>,
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// Lists, numbers, and jobs one by one, at each of the sizes.
    Operations,
    /// The work queue, before each of the backlogs.
    Queue,
}

fn main() -> ExitCode {
    match measure(Cli::parse()) {
        Ok(report) => {
            println!("{}", report.to_markdown());
            for promise in report.broken() {
                eprintln!("broken: {}: {}", promise.promise, promise.measured);
            }
            if report.broken().next().is_none() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) }
        }
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::from(FAILED)
        }
    }
}

fn measure(cli: Cli) -> Result<Report, Box<dyn std::error::Error>> {
    let Cli { mut sizes, mut backlogs, drained, only, out, calls, seed, date } = cli;
    for (option, numbers) in [("--sizes", &mut sizes), ("--backlogs", &mut backlogs)] {
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() > MAX_SIZES {
            return Err(format!("{option} has {} numbers; give at most {MAX_SIZES}", numbers.len()).into());
        }
    }
    match only {
        None => {}
        Some(Only::Operations) => backlogs.clear(),
        Some(Only::Queue) => sizes.clear(),
    }
    let plan = Plan { sizes, backlogs, crews: CREWS.to_vec(), drained, calls, seed, date };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = run(&plan, Progress::Shown) => Ok(report?),
            // Dropping the run ends it and removes its directory.
            interrupted = interrupted() => {
                interrupted?;
                Err("interrupted")?
            }
        }
    });
    let report: Result<Report, Box<dyn std::error::Error>> = report;
    let report = report?;
    write(&out, "bench.json", &report.to_json()?)?;
    write(&out, "bench.md", &report.to_markdown())?;
    Ok(report)
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = directory.join(name);
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|source| Error::File { path, source })
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
