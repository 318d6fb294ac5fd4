//! Crews: one worker or many, which claim and complete jobs until none is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jobledger::meter::Spent;
use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use serde::Serialize;
use tokio::task::JoinSet;

use super::steps::{Held, Route, claim, completed, create, function};
use crate::amount::Amount;
use crate::clock::Stopwatch;
use crate::error::Error;
use crate::load::{MAX_TRIES, SETTLE_MAX, a_second};
use crate::progress::Progress;
use crate::stack::{BenchStack, Metered};

/// The crews of a whole benchmark: how many workers, and how many jobs each asks for at a time.
pub const CREWS: [(usize, usize); 5] = [(1, 1), (8, 1), (64, 1), (8, 10), (64, 10)];
/// Callers that create at the same time.
const CREATORS: usize = 8;

/// The rate of some work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// Callers at the same time.
    pub callers: usize,
    /// Jobs in all.
    pub jobs: u64,
    /// Jobs a second.
    pub per_second: u64,
}

/// The result of a crew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Crew {
    /// Workers. Each claims in its own execution environment, as on Lambda.
    pub workers: usize,
    /// Jobs that each worker asks for at a time.
    pub max: usize,
    /// Jobs that the crew claimed and completed.
    pub jobs: u64,
    /// Jobs a second.
    pub per_second: u64,
    /// This crew's rate divided by the first crew's.
    pub speedup: Option<Amount>,
    /// Claims of a job that another worker got first, for each job that was claimed.
    pub lost_per_job: Option<Amount>,
    /// Claims that returned no job although some were left, most of them held by other workers.
    pub empty_claims: u64,
    /// Requests to DynamoDB for the claim of each job, with those in vain.
    pub claim_requests_per_job: Option<Amount>,
    /// Read units for the claim of each job.
    pub claim_reads_per_job: Option<Amount>,
}

/// The cost of claims, of one worker or of all.
#[derive(Clone, Copy, Debug, Default)]
struct Claims {
    requests: u64,
    lost: u64,
    empty: u64,
    reads: Amount,
}

impl Claims {
    fn add(&mut self, spent: &Spent) {
        self.requests += u64::from(spent.requests);
        self.lost += u64::from(spent.refused);
        self.reads = self.reads.plus(Amount::from_units(spent.read_units));
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            lost: self.lost + other.lost,
            empty: self.empty + other.empty,
            reads: self.reads.plus(other.reads),
        }
    }
}

/// Creates jobs for each crew in its own queue, and lets the crew do them.
pub(super) async fn run(
    stack: &BenchStack,
    shapes: &[(usize, usize)],
    jobs: u64,
    progress: Progress,
) -> Result<(Rate, Vec<Crew>), Error> {
    let mut crews: Vec<Crew> = Vec::new();
    let mut created_in = 0;
    let bar = progress.bar(shapes.len().try_into().unwrap_or(u64::MAX), "crews of workers");
    for &(workers, max) in shapes {
        let kind = format!("crew-{workers}-{max}");
        created_in += create_all(stack, &kind, jobs).await?;
        stack.service.stack.settled(SETTLE_MAX).await?;
        let mut crew = drain(stack, &kind, (workers, max), jobs).await?;
        let first = crews.first().map_or(crew.per_second, |first| first.per_second);
        crew.speedup = whole(crew.per_second).over(whole(first));
        crews.push(crew);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let all = jobs * u64::try_from(shapes.len()).unwrap_or(u64::MAX);
    Ok((Rate { callers: CREATORS, jobs: all, per_second: a_second(all, created_in) }, crews))
}

const fn whole(number: u64) -> Amount {
    Amount::from_thousandths(number.saturating_mul(1_000))
}

/// Creates this many jobs; returns how many microseconds that took.
async fn create_all(stack: &BenchStack, kind: &str, jobs: u64) -> Result<u64, Error> {
    let next = Arc::new(AtomicU64::new(0));
    let mut creators = Vec::new();
    for _ in 0..CREATORS {
        creators.push(function(stack, Route::Create).await?);
    }
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for creator in creators {
        let (kind, next) = (kind.to_owned(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return Ok(());
                }
                let (reply, _spent, _micros) = creator.call(&create(&kind, number)).await;
                if reply.status != 201 {
                    let (operation, status) = ("create", reply.status);
                    return Err(Error::Refused { operation, status, answer: reply.text });
                }
            }
        });
    }
    for ended in tasks.join_all().await {
        ended?;
    }
    Ok(watch.micros())
}

/// A worker of a crew.
struct Worker {
    name: String,
    kind: String,
    max: usize,
    claim: Metered,
    change: Metered,
    left: Arc<AtomicU64>,
}

async fn drain(
    stack: &BenchStack,
    kind: &str,
    (workers, max): (usize, usize),
    jobs: u64,
) -> Result<Crew, Error> {
    let left = Arc::new(AtomicU64::new(jobs));
    let mut crew = Vec::new();
    for number in 0..workers {
        crew.push(Worker {
            name: format!("w{number}"),
            kind: kind.to_owned(),
            max,
            claim: function(stack, Route::Claim).await?,
            change: function(stack, Route::Change).await?,
            left: Arc::clone(&left),
        });
    }
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for worker in crew {
        tasks.spawn(worker.run());
    }
    let mut claims = Claims::default();
    for ended in tasks.join_all().await {
        claims = claims.and(ended?);
    }
    let per_second = a_second(jobs, watch.micros());
    let per_job = |number: u64| whole(number).over(whole(jobs));
    Ok(Crew {
        workers,
        max,
        jobs,
        per_second,
        speedup: None,
        lost_per_job: per_job(claims.lost),
        empty_claims: claims.empty,
        claim_requests_per_job: per_job(claims.requests),
        claim_reads_per_job: claims.reads.over(whole(jobs)),
    })
}

impl Worker {
    /// Claims and completes jobs until the crew has done all.
    async fn run(self) -> Result<Claims, Error> {
        let mut claims = Claims::default();
        while self.left.load(Ordering::Relaxed) > 0 {
            let (reply, spent) = ask(&self.claim, "claim", &claim(&self.name, &self.kind, self.max)).await?;
            claims.add(&spent);
            let held = Held::all(&reply);
            if held.is_empty() {
                claims.empty += 1;
                tokio::task::yield_now().await;
            }
            for job in held {
                ask(&self.change, "complete", &job.report(completed())).await?;
                self.left.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(claims)
    }
}

/// Sends a request, and retries it if the store throttles: many workers may be too much for a machine.
async fn ask(
    function: &Metered,
    operation: &'static str,
    request: &Request,
) -> Result<(Reply, Spent), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        let (reply, spent, _micros) = function.call(request).await;
        match reply.status {
            200 => return Ok((reply, spent)),
            503 if tries < MAX_TRIES => {}
            status => return Err(Error::Refused { operation, status, answer: reply.text }),
        }
    }
}
