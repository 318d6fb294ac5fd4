//! A worker with three tools:
//!
//! - `ping` returns its payload at once;
//! - `slow` takes `{"seconds": 30}`, and reports its progress; it stops when it is cancelled;
//! - `flaky` fails in two of three attempts: give it a `max_attempts` of 5, for example.
//!
//! ```sh
//! cargo run -p jobledger-worker --example tools -- http://127.0.0.1:8080 local-dev-key
//! ```
//!
//! The third argument is the address of `/metrics`; by default 127.0.0.1:9100.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jobledger_worker::{Outcome, Task, TaskError, Worker};
use serde::Deserialize;
use serde_json::{Value, json};

/// Steps of `slow` in a second.
const STEPS_PER_SECOND: u32 = 4;
/// Longest that `slow` takes, in seconds.
const MAX_SECONDS: u32 = 3_600;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("info,jobledger_worker=debug").init();
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err(
            "call it with the service's address and a key: tools http://127.0.0.1:8080 local-dev-key".into(),
        );
    };
    let listen: SocketAddr = arguments.next().as_deref().unwrap_or("127.0.0.1:9100").parse()?;

    let worker = Worker::builder(url, key)
        .handle("ping", ping)
        .handle("slow", slow)
        .handle("flaky", flaky)
        .timeout("ping", Duration::from_secs(5))
        .concurrency(4)
        .lease_seconds(30)
        .listen(listen)
        .build()?;
    tracing::info!("metrics are at http://{listen}/metrics");
    worker.run().await?;
    Ok(())
}

async fn ping(task: Task) -> Result<Value, TaskError> {
    Ok(json!({ "pong": task.payload::<Value>()? }))
}

/// The payload of `slow`.
#[derive(Deserialize)]
struct Slow {
    seconds: u32,
}

#[expect(clippy::disallowed_methods, reason = "a program reads the clock where it wants to")]
async fn slow(task: Task) -> Result<Outcome, TaskError> {
    let Slow { seconds } = task.payload()?;
    if !(1..=MAX_SECONDS).contains(&seconds) {
        return Err(TaskError::permanent(format!("seconds must be 1 to {MAX_SECONDS}")).code("bad_payload"));
    }
    let (begun, cancelled) = (Instant::now(), task.cancelled());
    let steps = seconds * STEPS_PER_SECOND;
    for step in 1..=steps {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1) / STEPS_PER_SECOND) => {}
            () = cancelled.cancelled() => return Err(TaskError::new("cancelled").failed_task("waiting")),
        }
        task.stage("waiting", 100 * step / steps);
        task.progress(100 * step / steps);
    }
    Ok(Outcome::new(json!({ "steps": steps })).timing("waiting", begun.elapsed()))
}

async fn flaky(task: Task) -> Result<Value, TaskError> {
    match task.attempt() % 3 {
        0 => Ok(json!({ "tries": task.attempt() })),
        1 => Err(TaskError::new("a bad day: it works at the third try")
            .failed_task("first step")
            .code("flaky")),
        _ => panic!("a worse day: it works at the next try"),
    }
}
