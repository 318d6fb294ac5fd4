//! The steps of a job through the queue, in order, several times.

use jobledger_tests::Reply;
use jobledger_tests::alone::Request;
use serde_json::{Value, json};

use super::backlog::{FREE, FULL, LIMITED};
use crate::error::Error;
use crate::measure::{Cost, Samples};
use crate::progress::Progress;
use crate::stack::{BenchStack, Metered};

/// A step that is measured.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Its name in the report.
    pub name: &'static str,
    /// Its route.
    pub(crate) route: Route,
    /// The most that its median call may cost, if there is a promise.
    pub most: Option<Most>,
    /// Whether its reads must not grow with the backlog.
    pub is_flat: bool,
}

/// The most that a call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Round trips.
    pub round_trips: u64,
    /// Write units.
    pub write_units: u64,
}

/// The routes of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Create,
    Claim,
    Change,
}

impl Route {
    /// As the template has it.
    pub(crate) const fn template(self) -> &'static str {
        match self {
            Self::Create => "POST /v1/jobs",
            Self::Claim => "POST /v1/jobs/claim",
            Self::Change => "PATCH /v1/jobs/{job_id}",
        }
    }
}

/// All steps, in order.
pub const STEPS: [Step; 11] = [
    step("create", Route::Create, None, false),
    step("claim 1", Route::Claim, Some(most(3, 8)), true),
    step("heartbeat", Route::Change, Some(most(1, 1)), true),
    step("progress", Route::Change, Some(most(1, 1)), true),
    step("complete", Route::Change, Some(most(1, 8)), true),
    step("claim 1, and complete with a result: the report", Route::Change, None, true),
    step("claim 10", Route::Claim, Some(most(3, 80)), true),
    step("claim 1 of a type with max_concurrency", Route::Claim, None, true),
    step("complete, of that type", Route::Change, None, true),
    step("claim, of a type that is full", Route::Claim, Some(most(2, 0)), true),
    step("claim, nothing waits", Route::Claim, Some(most(1, 0)), true),
];

const fn step(name: &'static str, route: Route, most: Option<Most>, is_flat: bool) -> Step {
    Step { name, route, most, is_flat }
}

const fn most(round_trips: u64, write_units: u64) -> Most {
    Most { round_trips, write_units }
}

/// A job that this worker holds.
pub(super) struct Held {
    id: String,
    token: String,
}

impl Held {
    /// The jobs that a claim returned.
    pub(super) fn all(reply: &Reply) -> Vec<Self> {
        let jobs = reply.at("/jobs").as_array().into_iter().flatten();
        let held = |job: &Value| {
            let text = |field: &str| job[field].as_str().map(str::to_owned);
            Some(Self { id: text("job_id")?, token: text("lease_token")? })
        };
        jobs.filter_map(held).collect()
    }

    /// A report on the job, with these fields besides.
    pub(super) fn report(&self, mut said: Value) -> Request {
        said["lease_token"] = json!(self.token);
        Request::new("PATCH", &format!("/v1/jobs/{}", self.id)).body(said.to_string())
    }
}

/// A claim of up to `max` jobs of a type.
pub(super) fn claim(worker: &str, kind: &str, max: usize) -> Request {
    let body = json!({ "worker_id": worker, "types": [kind], "max": max, "lease_seconds": 900 });
    Request::new("POST", "/v1/jobs/claim").body(body.to_string())
}

pub(super) fn completed() -> Value {
    json!({ "status": "completed" })
}

/// The job of this number, for a type's queue.
pub(super) fn create(kind: &str, number: u64) -> Request {
    let payload = json!({ "input": format!("s3://raw/{number}.mov") });
    Request::new("POST", "/v1/jobs").body(json!({ "type": kind, "payload": payload }).to_string())
}

/// A function of a stack, by its route.
pub(super) async fn function(stack: &BenchStack, route: Route) -> Result<Metered, Error> {
    let missing = || Error::NoRoute(route.template());
    let name = stack.function_for(route.template()).ok_or_else(missing)?;
    stack.metered(name).await.ok_or_else(missing)
}

/// The functions of the steps, and the cost of each step until now.
struct Way {
    create: Metered,
    claim: Metered,
    change: Metered,
    samples: Vec<Samples>,
    /// Whether this walk only warms up.
    is_first: bool,
    next: usize,
}

/// Takes all steps this many times. The first time warms up, and is not counted.
pub(super) async fn run(stack: &BenchStack, calls: u32, progress: Progress) -> Result<Vec<Cost>, Error> {
    let mut way = Way {
        create: function(stack, Route::Create).await?,
        claim: function(stack, Route::Claim).await?,
        change: function(stack, Route::Change).await?,
        samples: STEPS.iter().map(|_| Samples::default()).collect(),
        is_first: true,
        next: 0,
    };
    way.hold(FULL).await?;
    let bar = progress.bar(u64::from(calls) + 1, "measuring the queue");
    for call in 0..=calls {
        way.next = 0;
        way.walk(call.into()).await?;
        way.is_first = false;
        stack.service.stack.wake();
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(way.samples.into_iter().map(Samples::into_cost).collect())
}

impl Way {
    async fn walk(&mut self, number: u64) -> Result<(), Error> {
        self.step(&create(FREE, number), 201).await?;
        let job = self.claimed(FREE, 1).await?;
        self.step(&job.report(json!({})), 200).await?;
        let progress = json!({ "current_task": "encode", "overall_progress": 40 });
        self.step(&job.report(json!({ "progress": progress })), 200).await?;
        self.step(&job.report(completed()), 200).await?;
        let job = self.hold(FREE).await?;
        let result = json!({ "status": "completed", "result": { "frames": number } });
        self.step(&job.report(result), 200).await?;
        self.claimed(FREE, 10).await?;
        let job = self.claimed(LIMITED, 1).await?;
        self.step(&job.report(completed()), 200).await?;
        for kind in [FULL, "nothing"] {
            let reply = self.step(&claim("bench", kind, 1), 200).await?;
            if !Held::all(&reply).is_empty() {
                return Err(Error::GaveMore { operation: "claim", answer: reply.text });
            }
        }
        Ok(())
    }

    /// Takes the next step.
    async fn step(&mut self, request: &Request, done: u16) -> Result<Reply, Error> {
        let (step, samples) = (STEPS[self.next], &mut self.samples[self.next]);
        let function = match step.route {
            Route::Create => &self.create,
            Route::Claim => &self.claim,
            Route::Change => &self.change,
        };
        let (reply, spent, micros) = function.call(request).await;
        if reply.status != done {
            let (operation, status) = (step.name, reply.status);
            return Err(Error::Refused { operation, status, answer: reply.text });
        }
        if !self.is_first {
            samples.add(spent, micros);
        }
        self.next += 1;
        Ok(reply)
    }

    /// Takes a step that claims, and returns the first job.
    async fn claimed(&mut self, kind: &str, max: usize) -> Result<Held, Error> {
        let reply = self.step(&claim("bench", kind, max), 200).await?;
        let mut held = Held::all(&reply);
        if held.len() != max {
            return Err(Error::GaveNothing { operation: "claim", field: "jobs", answer: reply.text });
        }
        Ok(held.swap_remove(0))
    }

    /// Claims a job beside the steps.
    async fn hold(&self, kind: &str) -> Result<Held, Error> {
        let (reply, _spent, _micros) = self.claim.call(&claim("bench", kind, 1)).await;
        let nothing = || Error::GaveNothing { operation: "claim", field: "jobs", answer: reply.text.clone() };
        Held::all(&reply).pop().ok_or_else(nothing)
    }
}
