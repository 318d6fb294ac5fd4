//! Jobs that wait: many of a type without a limit, and a tenth as many of one with a limit.

use std::ops::Range;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::amount::grouped;
use crate::error::Error;
use crate::load::{CALLS_AT_ONCE, JOBS_A_CALL, SETTLE_MAX, ingest};
use crate::progress::Progress;
use crate::stack::BenchStack;

/// The type that most jobs have.
pub(super) const FREE: &str = "free";
/// A type whose limit is so high that no call here has to wait.
pub(super) const LIMITED: &str = "limited";
/// A type with a limit of 1, of which one job runs.
pub(super) const FULL: &str = "full";
/// Limits of the types that have one.
const LIMITS: [(&str, u32); 2] = [(LIMITED, 1_000), (FULL, 1)];
/// One job of the limited type for this many of the other type.
const SHARE: u64 = 10;

/// Sets the limits while nothing waits, and loads this many jobs.
pub(super) async fn load(stack: &BenchStack, waiting: u64, progress: Progress) -> Result<(), Error> {
    for (kind, limit) in LIMITS {
        let settings = json!({ "max_concurrency": limit });
        let reply = stack.service.call("PUT", &format!("/v1/types/{kind}")).json(&settings).send().await;
        if reply.status != 200 {
            let (operation, status) = ("settings of a type", reply.status);
            return Err(Error::Refused { operation, status, answer: reply.text });
        }
    }
    let bar = progress.bar(waiting, &format!("loading a backlog of {} jobs", grouped(waiting)));
    let calls = [(FREE, waiting), (LIMITED, (waiting / SHARE).max(1)), (FULL, 2)].map(|(kind, count)| {
        (0..count.div_ceil(JOBS_A_CALL)).map(move |call| {
            let first = call * JOBS_A_CALL;
            (kind, first..count.min(first + JOBS_A_CALL))
        })
    });
    let calls = stream::iter(calls.into_iter().flatten()).map(|(kind, numbers)| {
        let sent = numbers.end - numbers.start;
        let body = lines(kind, numbers);
        async move { ingest(stack, &body, sent).await }
    });
    let mut calls = calls.buffer_unordered(CALLS_AT_ONCE);
    while let Some(added) = calls.try_next().await? {
        bar.inc(added);
    }
    bar.finish_and_clear();
    stack.service.stack.settled(SETTLE_MAX).await?;
    Ok(())
}

fn lines(kind: &str, numbers: Range<u64>) -> String {
    let line = |number: u64| -> Value {
        json!({
            "external_id": format!("{kind}-{number:09}"),
            "type": kind,
            "status": "queued",
            "payload": { "input": format!("s3://raw/{number}.mov") },
        })
    };
    numbers.map(|number| line(number).to_string() + "\n").collect()
}
