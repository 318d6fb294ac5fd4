//! `POST /v1/jobs/claim`: gives a worker the jobs that should go next, and waits a while for some where there are none.

use std::collections::BTreeSet;

use jobledger::access::StoredAccess;
use jobledger::domain::{Timestamp, WorkerId, callers_type};
use jobledger::http::{
    Access, Answer, Backend, Beside, Call, Fields, Problem, Route, RouteKey, Scope, WholeJobView, flag,
    function, integer, text,
};
use jobledger::lambda::caller_left;
use jobledger::queue::{
    ClaimRequest, Claimed, Claims, DEFAULT_LEASE_SECONDS, MAX_CLAIM_TYPES, MAX_CLAIMED, MAX_LEASE_SECONDS,
    MIN_LEASE_SECONDS,
};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};
use serde::Serialize;

/// The function.
pub const FUNCTION: Function = function::<ClaimJobs>();

/// Longest body: 20 types of 64 characters, a name, and some numbers.
const MAX_BODY_BYTES: usize = 16 * 1024;
/// Longest time that a claim waits for jobs.
const MAX_WAIT_SECONDS: u32 = 20;

/// `POST /v1/jobs/claim`.
#[derive(Debug)]
pub struct ClaimJobs;

/// The means of a claim, kept from one to the next.
#[derive(Debug)]
pub struct Claimer {
    ledger: Ledger,
    claims: Claims,
}

impl Backend for Claimer {
    type Control = StoredAccess;

    async fn start(environment: &Environment) -> Result<(Self, StoredAccess), Error> {
        let (ledger, access) = Ledger::start(environment).await?;
        Ok((Self { ledger, claims: Claims::default() }, access))
    }
}

#[derive(Serialize)]
struct Body<'a> {
    jobs: Vec<ClaimedView<'a>>,
}

/// A job, and what its worker reports with.
#[derive(Serialize)]
struct ClaimedView<'a> {
    #[serde(flatten)]
    job: WholeJobView<'a>,
    lease_token: &'a str,
}

impl Route for ClaimJobs {
    const NAME: &'static str = "claim-jobs";
    const KEY: RouteKey = RouteKey::post("/v1/jobs/claim");
    const ACCESS: Access = Access::Scope(Scope::Work);
    const MAX_BODY_BYTES: usize = MAX_BODY_BYTES;
    type Backend = Claimer;

    async fn answer(mut call: Call<'_, Claimer>) -> Result<Answer, Problem> {
        let owner = call.owner()?.clone();
        call.query.finish(Some(()))?;
        let mut fields = Fields::parse(call.body)?;
        let worker: Option<WorkerId> = fields.required("worker_id", text);
        let kinds = fields.each("types", &(1..=MAX_CLAIM_TYPES), |raw| callers_type(text(raw)?));
        let max = fields.optional("max", |raw| integer(raw, 1..=MAX_CLAIMED));
        let lease_seconds =
            fields.optional("lease_seconds", |raw| integer(raw, MIN_LEASE_SECONDS..=MAX_LEASE_SECONDS));
        let wait = fields.optional("wait_seconds", |raw| integer(raw, 0..=i64::from(MAX_WAIT_SECONDS)));
        let acknowledge = fields.optional("acknowledge", flag);
        let request = worker.zip(kinds).map(|(worker, kinds)| ClaimRequest {
            owner,
            worker,
            kinds: BTreeSet::from_iter(kinds),
            max: max.unwrap_or(1),
            lease_seconds: lease_seconds.unwrap_or(DEFAULT_LEASE_SECONDS),
            acknowledge: acknowledge.unwrap_or(false),
        });
        let request = fields.finish(request).map_err(Problem::invalid_body)?;
        let claimed = claim(&call, &request, wait.unwrap_or(0)).await?;
        Ok(answer(&claimed, (call.clock)()))
    }
}

/// Claims, again and again until there is something or the time is over.
async fn claim(
    call: &Call<'_, Claimer>,
    request: &ClaimRequest,
    wait_seconds: u32,
) -> Result<Vec<Claimed>, Problem> {
    let Claimer { ledger, claims } = call.backend;
    if wait_seconds == 0 {
        return Ok(claims.claim(ledger, request, call.clock).await?);
    }
    // It listens before it looks: if a job is queued after the look, it hears of it.
    let listener = ledger.bell.listen(&request.owner, &request.kinds);
    let claimed = claims.claim(ledger, request, call.clock).await?;
    if !claimed.is_empty() {
        return Ok(claimed);
    }
    let seconds = call.pay_wait(wait_seconds).await;
    let deadline = call.now.plus_millis(i64::from(seconds) * 1_000);
    Ok(claims.wait(ledger, request, &listener, call.clock, deadline, caller_left()).await?)
}

fn answer(claimed: &[Claimed], now: Timestamp) -> Answer {
    let beside: Vec<Beside> =
        claimed.iter().map(|claimed| Beside { input: claimed.input.clone(), ..Beside::default() }).collect();
    let jobs = claimed.iter().zip(&beside).filter_map(|(claimed, beside)| {
        let job = &claimed.head.job;
        let token = &job.holder.as_ref()?.token;
        Some(ClaimedView { job: WholeJobView::new(job, beside, None, now), lease_token: token.as_str() })
    });
    Answer::ok(&Body { jobs: jobs.collect() })
}
