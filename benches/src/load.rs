//! Loading: jobs through ingest, a few calls at a time, made as they are sent; then the wait until all are counted.

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

/// Jobs of one call: some 200 KB, and far from the 29 s that a call may take.
pub(crate) const JOBS_A_CALL: u64 = 500;
/// Calls under way at a time.
pub(crate) const CALLS_AT_ONCE: usize = 4;
/// How often a call is sent that the store had no time for.
pub(crate) const MAX_TRIES: u32 = 100;
/// How often memory is looked at during a load.
const SAMPLES: u64 = 10;
/// Longest wait until everything is counted. Nothing depends on speed: this only ends what hangs.
pub(crate) const SETTLE_MAX: Duration = Duration::from_hours(6);

/// How a load went.
#[derive(Clone, Debug, Serialize)]
pub struct Load {
    /// Jobs that went in.
    pub jobs: u64,
    /// Milliseconds until the last call was answered.
    pub load_ms: u64,
    /// Milliseconds from then until all was counted; most is counted beside the load.
    pub settle_ms: u64,
    /// Jobs a second into the ledger.
    pub loaded_per_second: u64,
    /// Jobs a second into the ledger and counted, from the first call to the last count.
    pub counted_per_second: u64,
    /// Bytes of the database's files when all was counted.
    pub database_bytes: u64,
    /// Memory of the process, in which the stack and the engine run too, at each tenth of the load.
    pub samples: Vec<Sample>,
    /// Memory when all was counted.
    pub memory_settled: Option<Memory>,
}

/// Memory at one moment of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// How much of the load was in.
    pub percent: u64,
    /// What the process had then; none where the system does not tell.
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
        // The body is made as its call begins, so that only those under way are in memory.
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

/// How many jobs that is a second.
pub(crate) fn a_second(jobs: u64, micros: u64) -> u64 {
    let rate = u128::from(jobs) * 1_000_000 / u128::from(micros.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Sends so many jobs, one a line; answers how many they were.
pub(crate) async fn ingest(stack: &BenchStack, body: &str, sent: u64) -> Result<u64, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let reply = stack.service.call("POST", "/v1/admin/ingest/jobs").body(body).send().await;
        // A call that broke off may be sent again: what is in already is unchanged.
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

/// What is measured later is only worth something when the counts are right.
async fn check(stack: &BenchStack, loaded: u64) -> Result<(), Error> {
    let reply = stack.service.get("/v1/jobs?limit=1").send().await;
    match reply.at("/total") {
        Value::Number(total) if total.as_u64() == Some(loaded) => Ok(()),
        other => Err(Error::Miscounted { loaded, counted: format!("{other} ({})", reply.status) }),
    }
}
