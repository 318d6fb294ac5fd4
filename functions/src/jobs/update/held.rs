//! What a worker reports of a job that it holds: one write, which its lease guards.

use jobledger::domain::{Head, JobId, Owner};
use jobledger::http::{Call, Problem};
use jobledger::queue::stop;
use jobledger::store::plans::queue::{Completion, Report};
use jobledger::store::{Ledger, Written, head_of_row, output_part};
use uuid::Builder;

use super::parse::{Change, Lease};
use super::{refusal, step};

/// Renews the lease, and keeps how far the job is said to be.
pub(crate) async fn renew(
    call: &Call<'_, Ledger>,
    owner: &Owner,
    id: JobId,
    change: &Change,
    lease: &Lease,
) -> Result<Head, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let report = Report { owner, id, token: &lease.token, now: call.now };
    let settings = step::settings(call.backend, owner, &lease.token.terms().kind, change).await?;
    let mut said = change.progress.clone().unwrap_or_default().by_stages(&settings);
    let head = loop {
        let plan = report.renew(&config.tables, lease.seconds, &said);
        let head = match store.update(plan).await? {
            Written::Done(item) => return Ok(head_of_row(item.ok_or_else(Problem::job_not_found)?)?),
            Written::Refused(item) => refusal::head_of(item, owner)?,
        };
        // What is all of it never falls: what was said before stands, and the rest is kept.
        if said.overall_progress.is_none() || !head.job.is_held_by(&lease.token, call.now) {
            break head;
        }
        said.overall_progress = None;
    };
    refusal::without_lease(head, change, lease)
}

/// Ends the job well. Its output is written before the head that names it.
pub(crate) async fn complete(
    call: &Call<'_, Ledger>,
    owner: &Owner,
    id: JobId,
    change: &Change,
    lease: &Lease,
) -> Result<Head, Problem> {
    let Ledger { store, config, .. } = call.backend;
    let json = change.output.to_json().map_err(|error| Problem::too_large(error.to_string()))?;
    // The same report names the same output, so that it leaves none behind when it is sent again; no other has this name,
    // as the token is part of what is said. And it is of no time: what sweeps parts goes by the time in names of calls.
    let name = Builder::from_custom_bytes(*change.fingerprint.bytes()).into_uuid();
    let part = output_part(name);
    let output = if change.output.is_empty() {
        None
    } else {
        Some((name, call.backend.write_part(id, &part, json).await?))
    };
    let report = Report { owner, id, token: &lease.token, now: call.now };
    let end = Completion { output, cost: change.cost, report: change.fingerprint };
    let plan = report.complete(&config.tables, &end);
    let terms = lease.token.terms();
    let slot = terms.holds_slot.then_some((owner, &terms.kind));
    let head = match stop(store, &config.tables, id, plan, slot).await? {
        Written::Done(item) => return Ok(head_of_row(item.ok_or_else(Problem::job_not_found)?)?),
        Written::Refused(item) => item,
    };
    let names_it = |head: &Head| head.output == Some(name);
    let head = refusal::head_of(head, owner);
    if output.is_some() && !head.as_ref().is_ok_and(names_it) {
        call.backend.drop_part(id, &part).await;
    }
    let head = head?;
    if head.job.is_held_by(&lease.token, call.now) {
        // It has an output already, to which this is added.
        return step::take(call, owner, id, change).await;
    }
    refusal::without_lease(head, change, lease)
}
