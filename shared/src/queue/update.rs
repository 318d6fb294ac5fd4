//! Changes of a job by its caller, and the reports of those who work on it.
//!
//! A heartbeat and a good end of a leased job are one guarded write and no read. All else reads the head, decides, and
//! puts the new one in its place if nothing changed meanwhile.

use uuid::{Builder, Uuid};

use super::jobs::refused;
use super::send::{Made, changed_at_every_try, make, replace, stop};
use super::{Error, Jobs};
use crate::domain::step::{Change, When};
use crate::domain::steps::{completed, renewed};
use crate::domain::{
    Edits, Head, Input, JobChange, JobId, Misfit, Output, Owner, Renewal, Timestamp, TypeName, TypeSettings,
    Unfit, is_reserved,
};
use crate::environment::Environment;
use crate::store::{StoreError, input_part, output_part};

/// How often a job may change between being read and being written.
const MAX_TRIES: usize = 8;

/// Whose job is changed, when, and under which name its new parts are kept.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Whose job it is.
    pub owner: &'a Owner,
    /// Which job.
    pub id: JobId,
    /// The current time.
    pub now: Timestamp,
    /// A name that no part has.
    pub fresh: Uuid,
}

impl Jobs<'_> {
    /// Makes a change to a job. Answers the head after it.
    pub async fn update(&self, update: Update<'_>, change: &JobChange) -> Result<Head, Error> {
        match &change.lease {
            Some(lease) if change.is_heartbeat() => self.renew(update, change, lease).await,
            Some(lease) if change.is_plain_end() => self.complete(update, change, lease).await,
            Some(_) | None => self.replace(update, change).await,
        }
    }

    /// Renews the lease, and keeps how far the job is said to be.
    async fn renew(&self, update: Update<'_>, change: &JobChange, lease: &Renewal) -> Result<Head, Error> {
        let Update { owner, id, now, .. } = update;
        let settings = self.settings(owner, &lease.token.terms().kind, change).await?;
        let mut said = change.progress.clone().unwrap_or_default().by_stages(&settings);
        let head = loop {
            let step = renewed(&lease.token, lease.seconds, &said, now).of(owner);
            let head = match make(self.ledger, id, &step).await? {
                Made::Done(head) => return Ok(*head),
                Made::Refused(there) => refused(there, owner)?,
            };
            // The overall progress never falls: the earlier value stands, and the rest is kept.
            if said.overall_progress.is_none() || !head.job.is_held_by(&lease.token, now) {
                break head;
            }
            said.overall_progress = None;
        };
        without_lease(head, change, lease)
    }

    /// Ends the job well. Its output is written before the head that names it.
    async fn complete(&self, update: Update<'_>, change: &JobChange, lease: &Renewal) -> Result<Head, Error> {
        let Update { owner, id, now, .. } = update;
        let json = change.output.to_json()?;
        // The same report names the same output, so that it leaves none behind when it is sent again; no other has this
        // name, as the token is part of the report. And it is of no time: the sweep of parts goes by the time in names
        // of calls.
        let name = Builder::from_custom_bytes(*change.fingerprint.bytes()).into_uuid();
        let part = output_part(name);
        let has_output = !change.output.is_empty();
        let mut step = completed(now)
            .of(owner)
            .only(When::HeldBy(lease.token.clone(), now))
            .only(When::HasNoOutput)
            .with(Change::Report(change.fingerprint));
        if has_output {
            let bytes = self.ledger.write_part(id, &part, json).await?;
            step = step.with(Change::Output { name, bytes });
        }
        if let Some(cost) = change.cost {
            step = step.with(Change::Cost(cost));
        }
        let terms = lease.token.terms();
        let slot = terms.holds_slot.then_some((owner, &terms.kind));
        let there = match stop(self.ledger, id, &step, slot).await? {
            Made::Done(head) => return Ok(*head),
            Made::Refused(there) => refused(there, owner),
        };
        // If the lease is over and nobody has ended the attempt, the same report may still be under way from before. It
        // then names this output.
        let may_name_it = |head: &Head| {
            let is_open = head.job.was_given(&lease.token) && head.job.lease().is_some();
            head.output == Some(name) || (is_open && !head.job.is_held_by(&lease.token, now))
        };
        if has_output && !there.as_ref().is_ok_and(may_name_it) {
            self.ledger.drop_part(id, &part).await;
        }
        let head = there?;
        if head.job.is_held_by(&lease.token, now) {
            // It has an output already, to which this is added.
            return self.replace(update, change).await;
        }
        without_lease(head, change, lease)
    }

    /// Makes a change to a job as it now is.
    async fn replace(&self, update: Update<'_>, change: &JobChange) -> Result<Head, Error> {
        let Update { owner, id, now, .. } = update;
        for _ in 0..MAX_TRIES {
            let head = self.head(owner, id).await?;
            if stands(&head, change, now)? {
                return Ok(head);
            }
            let settings = self.settings(owner, &head.job.kind, change).await?;
            let mut next = change.apply(&head, &settings, Environment::chance(), now);
            self.write_parts(update, &head, change, &mut next).await?;
            // If nobody knows whether it was done, the part that was written may be the job's, and stays.
            let there = match replace(self.ledger, &next, &head).await? {
                Made::Done(head) => Some(*head),
                Made::Refused(there) => there.map(|there| *there),
            };
            // As well its own first try, whose answer was lost; others may have changed the job since.
            for gone in [&head, &next] {
                self.ledger.drop_parts(gone, there.as_ref()).await;
            }
            if there.as_ref() == Some(&next) {
                return Ok(next);
            }
        }
        Err(changed_at_every_try().into())
    }

    /// Writes what the change brings, beside what the job has already, and names it in the head.
    async fn write_parts(
        &self,
        Update { id, fresh, .. }: Update<'_>,
        head: &Head,
        change: &JobChange,
        next: &mut Head,
    ) -> Result<(), Error> {
        let ledger = self.ledger;
        if !change.output.is_empty() {
            let (output, bytes): (Output, u64) = ledger.read_part(id, head.output.map(output_part)).await?;
            let json = output.with(change.output.clone()).to_json()?;
            let written = ledger.write_part(id, &output_part(fresh), json).await?;
            next.output = Some(fresh);
            next.job.bytes = next.job.bytes.saturating_sub(bytes).saturating_add(written);
        }
        if change.edits.changes_input() {
            let Edits { metadata, payload, .. } = change.edits.clone();
            let (mut input, bytes): (Input, u64) = ledger.read_part(id, head.input.map(input_part)).await?;
            input.metadata = metadata.or(input.metadata);
            input.payload = payload.or(input.payload);
            let written = ledger.write_part(id, &input_part(fresh), input.to_json()?).await?;
            next.input = Some(fresh);
            next.job.bytes = next.job.bytes.saturating_sub(bytes).saturating_add(written);
        }
        Ok(())
    }

    /// The settings of a job's type, where a change needs them; else the default stands for them, unread.
    async fn settings(
        &self,
        owner: &Owner,
        kind: &TypeName,
        change: &JobChange,
    ) -> Result<TypeSettings, StoreError> {
        if change.needs_settings() {
            self.ledger.type_settings(owner, kind).await
        } else {
            Ok(TypeSettings::default())
        }
    }
}

/// Whether a head stands as it is: the change was made before, or the job was called off. An error: the change may not be
/// made.
fn stands(head: &Head, change: &JobChange, now: Timestamp) -> Result<bool, Error> {
    let job = &head.job;
    if is_reserved(&job.kind) {
        return Err(Error::ServiceJob(job.kind.clone()));
    }
    if let Some(lease) = &change.lease {
        if !job.is_held_by(&lease.token, now) {
            return without_lease(head.clone(), change, lease).map(|_| true);
        }
    } else if change.is_report() && job.lease().is_some() {
        return Err(Error::Leased);
    }
    if change.was_made(head) {
        return Ok(true);
    }
    let status = job.status();
    change.check(job).map(|()| false).map_err(|unfit| match unfit {
        Unfit::NoStep(target) => Error::wrong_status(status, format!("made {target}")),
        Unfit::NoReport => Error::wrong_status(status, "reported on"),
        Unfit::Edit(Misfit::NotWaiting(field)) => {
            Error::wrong_status(status, format!("given another {field}"))
        }
        Unfit::Edit(Misfit::TooFewAttempts(least)) => {
            Error::wrong_status(status, format!("given fewer than {least} attempts"))
        }
        Unfit::Edit(Misfit::Labels(invalid)) => Error::TooManyLabels(invalid),
    })
}

/// The result of a report whose lease does not hold. If the report ended the try, or if all it needs to hear is that
/// the job was called off, it changes nothing. Otherwise it fails.
fn without_lease(head: Head, change: &JobChange, lease: &Renewal) -> Result<Head, Error> {
    if head.report == Some(change.fingerprint) || change.was_called_off(&head) {
        return Ok(head);
    }
    let status = head.job.status();
    Err(if head.job.was_given(&lease.token) && status.is_ended() {
        Error::wrong_status(status, "reported on")
    } else {
        Error::LeaseLost(status)
    })
}
