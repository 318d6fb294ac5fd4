//! Loading. It sends jobs through ingest, a few calls at a time, and then waits until all are counted.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use serde_json::Value;

use crate::amount::grouped;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::jobs::Jobs;
use crate::memory::{self, Memory};
use crate::progress::Progress;
use crate::stack::BenchStack;

/// Jobs of one call: some 200 KB, which take far less than the 29 s that a call may take.
pub(crate) const JOBS_A_CALL: u64 = 500;
/// Calls in flight at a time.
pub(crate) const CALLS_AT_ONCE: usize = 4;
/// Most attempts of one call, if the store throttles it.
pub(crate) const MAX_TRIES: u32 = 100;
/// How often the loader samples memory during a load.
const SAMPLES: u64 = 10;
/// Longest wait until everything is counted. Nothing depends on speed: this only ends a run that hangs.
pub(crate) const SETTLE_MAX: Duration = Duration::from_hours(6);

/// The result of a load.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Jobs that ingest accepted.
    pub jobs: u64,
    /// Milliseconds until the last call returned.
    pub load_ms: u64,
    /// Milliseconds from then until all was counted. The counter does most of its work during the load.
    pub settle_ms: u64,
    /// Jobs a second into the ledger.
    pub loaded_per_second: u64,
    /// Jobs a second into the ledger and counted, from the first call to the last count.
    pub counted_per_second: u64,
    /// Bytes of the database's files at the end of counting.
    pub database_bytes: u64,
    /// Memory of the process at each tenth of the load. The stack and the engine run in this process, too.
    pub samples: Vec<Sample>,
    /// Memory at the end of counting.
    pub memory_settled: Option<Memory>,
}

/// Memory at one moment of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The share of the load that was accepted.
    pub percent: u64,
    /// Memory of the process then; none if the system does not tell.
    pub memory: Option<Memory>,
}

/// Loads all jobs, and waits until they are counted.
pub(crate) async fn run(stack: &BenchStack, jobs: &Jobs, progress: Progress) -> Result<Load, Error> {
    memory::forget_peak();
    let bar = progress.bar(jobs.count, &format!("loading {} jobs", grouped(jobs.count)));
    let watch = Stopwatch::start();
    let calls = (0..jobs.count.div_ceil(JOBS_A_CALL)).map(|call| {
        let first = call * JOBS_A_CALL;
        let numbers = first..jobs.count.min(first + JOBS_A_CALL);
        // Each body is made when its call begins. Only the bodies of calls in flight are in memory.
        async move { ingest(stack, &jobs.lines(numbers.clone()), numbers.end - numbers.start).await }
    });
    let mut calls = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE);
    let mut samples: Vec<Sample> = Vec::new();
    let mut loaded = 0;
    while let Some(added) = calls.next().await {
        loaded += added?;
        bar.set_position(loaded);
        let tenths = loaded * SAMPLES / jobs.count;
        if tenths * 100 / SAMPLES > samples.last().map_or(0, |sample| sample.percent) {
            let sample = Sample { percent: tenths * 100 / SAMPLES, memory: memory::now() };
            let resident = sample.memory.map_or(0, |memory| memory.resident_kib / 1_024);
            progress.say(&bar, &format!("{:>3} % loaded, {resident} MiB resident", sample.percent));
            samples.push(sample);
        }
    }
    drop(calls);
    let load_micros = watch.micros();
    bar.finish_and_clear();
    let bar = progress.spinner("waiting until all are counted");
    stack.service.stack.settled(SETTLE_MAX).await?;
    let all_micros = watch.micros();
    bar.finish_and_clear();
    check(stack, loaded).await?;
    let directory = stack.directory();
    let database_bytes =
        memory::bytes_in(directory).map_err(|source| Error::File { path: directory.to_owned(), source })?;
    Ok(Load {
        jobs: loaded,
        load_ms: load_micros / 1_000,
        settle_ms: (all_micros - load_micros) / 1_000,
        loaded_per_second: a_second(loaded, load_micros),
        counted_per_second: a_second(loaded, all_micros),
        database_bytes,
        samples,
        memory_settled: memory::now(),
    })
}

/// This rate in jobs a second.
pub(crate) fn a_second(jobs: u64, micros: u64) -> u64 {
    let rate = u128::from(jobs) * 1_000_000 / u128::from(micros.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Sends these jobs, one a line; returns how many they were.
pub(crate) async fn ingest(stack: &BenchStack, body: &str, sent: u64) -> Result<u64, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let reply = stack.service.call("POST", "/v1/admin/ingest/jobs").body(body).send().await;
        // A call that broke off may be sent again: ingest leaves jobs unchanged that it already has.
        let went_in =
            ["/created", "/updated", "/unchanged"].map(|field| reply.at(field).as_u64().unwrap_or(0));
        if reply.status == 200 && went_in.iter().sum::<u64>() == sent {
            return Ok(sent);
        }
        if reply.status != 503 || tries == MAX_TRIES {
            return Err(Error::Ingest { status: reply.status, answer: reply.text });
        }
    }
}

/// Fails if the counts are wrong: later measurements would mean nothing.
async fn check(stack: &BenchStack, loaded: u64) -> Result<(), Error> {
    let reply = stack.service.get("/v1/jobs?limit=1").send().await;
    match reply.at("/total") {
        Value::Number(total) if total.as_u64() == Some(loaded) => Ok(()),
        other => Err(Error::Miscounted { loaded, counted: format!("{other} ({})", reply.status) }),
    }
}
