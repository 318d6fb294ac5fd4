//! `reap-leases`: ends tries whose leases ran out, and notes how the queues stand, whenever the schedule calls.

use jobledger::domain::Timestamp;
use jobledger::lambda::{BoxFuture, Invoke, Started};
use jobledger::queue::{Watched, watch};
use jobledger::store::Ledger;
use jobledger::{Environment, Error, Function};
use lambda_runtime::Context;
use serde_json::value::{RawValue, to_raw_value};

/// The function.
pub const FUNCTION: Function =
    Function { name: "reap-leases", routes: Vec::new, start: |environment| Box::pin(start(environment)) };

async fn start(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    Ok(Started::Whole(Box::new(ReapLeases { ledger, clock: environment.clock })))
}

struct ReapLeases {
    ledger: Ledger,
    clock: fn() -> Timestamp,
}

impl Invoke for ReapLeases {
    /// The content of the event does not matter: to look twice does no harm.
    fn invoke<'a>(
        &'a self,
        _event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let ends_at = i64::try_from(context.deadline).ok().filter(|deadline| *deadline > 0);
            let watched = watch(&self.ledger, self.clock, ends_at.map(Timestamp::from_millis)).await?;
            let Watched { owners, running, held, queued, failed, changed, errors, types_given_back, whole } =
                watched;
            tracing::info!(
                owners,
                running,
                held,
                queued,
                failed,
                changed,
                errors,
                types_given_back,
                whole,
                "looked at the queues"
            );
            Ok(to_raw_value(&watched)?)
        })
    }
}
