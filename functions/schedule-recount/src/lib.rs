//! `schedule-recount`: begins a recount whenever the schedule calls. It repairs nothing: people decide that.

use jobledger::domain::{Fingerprint, IdempotencyKey, JobId, Owner, SERVICE_OWNER, Timestamp};
use jobledger::dynamo::Ledger;
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::recount::{RecountRequest, SETTLE_SECONDS, begin};
use jobledger::tasks::{Asked, Begun};
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

/// The function.
pub const FUNCTION: Function =
    Function { name: "schedule-recount", start: |environment| Box::pin(start(environment)) };

/// What the log names instead of a key.
const KEY_ID: &str = "schedule";

async fn start(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    Ok(Started::Whole(Box::new(ScheduleRecount { ledger, clock: environment.clock })))
}

struct ScheduleRecount {
    ledger: Ledger,
    clock: fn() -> Timestamp,
}

/// Of an event, what tells it from others: a schedule calls at least once.
#[derive(Deserialize)]
struct Event {
    id: String,
}

impl Invoke for ScheduleRecount {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        _context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())?;
            let owner = Owner::try_from(SERVICE_OWNER)?;
            let id = JobId::of_idempotency_key(&owner, &IdempotencyKey::try_from(event.id)?);
            let request = RecountRequest { repair: false, owner: None, settle_seconds: SETTLE_SECONDS };
            let asked = Asked {
                id,
                owner,
                key_id: KEY_ID.to_owned(),
                fresh: Environment::fresh_id(),
                now: (self.clock)(),
                trace_id: None,
                fingerprint: Fingerprint::of(KEY_ID.as_bytes()),
                input: request.input()?,
            };
            match begin(&self.ledger, &asked, &request).await? {
                Begun::New(_) => {}
                Begun::There(_) => tracing::info!(%id, "the event came again; the recount has begun before"),
            }
            Ok(to_raw_value(&())?)
        })
    }
}
