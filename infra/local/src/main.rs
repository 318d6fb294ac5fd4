//! `cargo run`: jobledger on this machine.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use jobledger::lambda::logging;
use jobledger_local::{BoxError, DynamoDb, Http, LOCAL_KEY, LOCAL_OWNER, Options, Stack, Storage, TEMPLATE};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The variable that names a DynamoDB to use in place of the embedded one.
const ENDPOINT_VARIABLE: &str = "JOBLEDGER_DYNAMODB_ENDPOINT";

/// The log filter without `RUST_LOG`. The engine warns of each answer that is not 200, such as of a condition that does
/// not hold: its clients know what those mean.
const LOG: &str = "warn,dynoxide=error";

/// Runs template.yaml on this machine: the HTTP API, DynamoDB with its streams, schedules.
///
/// `JOBLEDGER_DYNAMODB_ENDPOINT` names a DynamoDB to use in place of the embedded one; `RUST_LOG` sets what is logged.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Offers DynamoDB alone, for functions that run elsewhere (`cargo lambda watch`), and delivers its streams.
    Dynamodb(Offer),
}

#[derive(Args, Debug)]
struct Serve {
    /// Port of the HTTP API on 127.0.0.1; 0 is any that is free.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Port of DynamoDB on 127.0.0.1; 0 is any that is free.
    #[arg(long, default_value_t = 0)]
    dynamodb_port: u16,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args, Debug)]
struct Offer {
    /// Port of DynamoDB on 127.0.0.1; 0 is any that is free.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Args, Debug)]
struct Shared {
    /// Directory that the data is kept in.
    #[arg(long, value_name = "DIR", default_value = ".jobledger", conflicts_with = "memory")]
    data: PathBuf,
    /// Keep nothing: the data goes when the stack stops.
    #[arg(long)]
    memory: bool,
    /// Another template than the one that this was built with.
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A value for a parameter of the template.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// How often a function on a schedule is called, in place of what the template says.
    #[arg(long = "every", value_name = "FUNCTION=SECONDS", value_parser = every)]
    every: Vec<(String, Duration)>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let all = jobledger_functions::all();
    // With any filter, the libraries under the functions log no requests, because these contain keys.
    let most = logging::targets(LevelFilter::TRACE, all.iter().map(|function| function.name));
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LOG));
    tracing_subscriber::registry().with(lines).with(most).with(wanted).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), BoxError> {
    // Before anything starts, so that a signal during the start also ends the process in order.
    let mut signals = Signals::new()?;
    let options = options(cli)?;
    let stack = tokio::select! {
        started = Stack::start(options, jobledger_functions::all()) => started?,
        () = signals.any() => return Ok(()),
    };
    match stack.url() {
        Some(url) => say(&format!("jobledger listens on {url}"))?,
        None => say(&format!("jobledger offers DynamoDB on {}", stack.dynamodb_endpoint()))?,
    }
    say(&format!("key: {LOCAL_KEY} (admin of owner \"{LOCAL_OWNER}\"; this machine only)"))?;
    signals.any().await;
    tokio::select! {
        stopped = stack.stop() => Ok(stopped?),
        () = signals.any() => Err("stopped twice: requests under way were cut off".into()),
    }
}

fn options(cli: Cli) -> Result<Options, BoxError> {
    let (http, port, shared) = match cli.command {
        Some(Command::Dynamodb(Offer { port, shared })) => (Http::Off, port, shared),
        None => (Http::Port(cli.serve.port), cli.serve.dynamodb_port, cli.serve.shared),
    };
    let template = match &shared.template {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?
        }
        None => TEMPLATE.to_owned(),
    };
    Ok(Options {
        template,
        parameters: shared.parameters.into_iter().collect(),
        storage: if shared.memory { Storage::Temporary } else { Storage::Directory(shared.data) },
        dynamodb: endpoint().map_or(DynamoDb::Embedded { port }, DynamoDb::Endpoint),
        http,
        table_prefix: String::new(),
        every: shared.every.into_iter().collect(),
    })
}

#[expect(clippy::disallowed_methods, reason = "the edge: here the process's environment comes in")]
fn endpoint() -> Option<String> {
    std::env::var(ENDPOINT_VARIABLE).ok().filter(|endpoint| !endpoint.is_empty())
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("is no NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn every(text: &str) -> Result<(String, Duration), String> {
    let (name, seconds) = parameter(text).map_err(|_| "is no FUNCTION=SECONDS")?;
    let seconds = seconds.parse().map_err(|_| "has no whole number of seconds")?;
    Ok((name, Duration::from_secs(seconds)))
}

/// Writes a line to standard output at once: the program that started this may be waiting for it.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// The signals that end the process in order.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for one of them.
    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
