//! `schedule-recount`: begins a recount whenever the schedule calls. It repairs nothing: people decide that. It also marks
//! the keys that an older version made.

use jobledger::audit::Audit;
use jobledger::background::recount::{RecountRequest, SETTLE_SECONDS, begin};
use jobledger::background::{Asked, AskedBy, Begun};
use jobledger::domain::{Fingerprint, IdempotencyKey, JobId, Owner, SERVICE_OWNER, Timestamp};
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

/// The function.
pub const FUNCTION: Function = Function {
    name: "schedule-recount",
    routes: Vec::new,
    start: |environment| Box::pin(start(environment)),
};

async fn start(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    Ok(Started::Whole(Box::new(ScheduleRecount { ledger, clock: environment.clock })))
}

struct ScheduleRecount {
    ledger: Ledger,
    clock: fn() -> Timestamp,
}

/// The fields of an event that tell it from others: a schedule calls at least once.
#[derive(Deserialize)]
struct Event {
    id: String,
}

impl Invoke for ScheduleRecount {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())?;
            let owner = Owner::try_from(SERVICE_OWNER)?;
            let id = JobId::of_idempotency_key(&owner, &IdempotencyKey::try_from(event.id)?);
            let request = RecountRequest { repair: false, owner: None, settle_seconds: SETTLE_SECONDS };
            let asked = Asked {
                id,
                owner,
                by: AskedBy::Schedule,
                fresh: Environment::fresh_id(),
                now: (self.clock)(),
                trace_id: None,
                fingerprint: Fingerprint::of(AskedBy::Schedule.as_str().as_bytes()),
                input: request.input()?,
            };
            let begun = begin(&self.ledger, &asked, &request).await?;
            Audit {
                action: request.action(),
                subject: &id.to_string(),
                owner: Some(&asked.owner),
                detail: Some(&serde_json::to_string(&request)?),
                key_id: Some(asked.by.as_str()),
                key_owner: None,
                request_id: Some(&context.request_id),
                source_ip: None,
            }
            .log();
            if let Begun::There(_) = begun {
                tracing::info!(%id, "the event came again; the recount has begun before");
            }
            if let Err(error) = self.ledger.keys().mark_all(asked.now).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the keys could not be marked; the next call of the schedule does it");
            }
            Ok(to_raw_value(&())?)
        })
    }
}
