//! The function on the tasks' stream: events in, one task each.

use lambda_runtime::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::ended;
use crate::access::{Flush, SumWriter};
use crate::background::{Clock, Kind, run};
use crate::domain::{JobId, Timestamp};
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, Invoke, Started};
use crate::store::Ledger;

/// A function that does tasks.
pub trait Runner: Send + Sync + 'static {
    /// The function's name.
    const NAME: &'static str;
    /// The kinds of work that it knows.
    const KINDS: &'static [Kind];
}

/// The function that does tasks so.
pub const fn function<R: Runner>() -> Function {
    Function { name: R::NAME, routes: Vec::new, start: |environment| Box::pin(start::<R>(environment)) }
}

async fn start<R: Runner>(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    ledger.telemetry.start(R::NAME);
    let sums = SumWriter::new(&ledger);
    let feeding = Feeding { ledger, sums, kinds: R::KINDS, clock: environment.clock };
    Ok(Started::Whole(Box::new(feeding)))
}

struct Feeding {
    ledger: Ledger,
    /// The numbers of the function, for operators.
    sums: SumWriter,
    kinds: &'static [Kind],
    clock: fn() -> Timestamp,
}

/// Of an event, the keys: all else is read anew, because it may have changed.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "Keys")]
    keys: Keys,
}

#[derive(Deserialize)]
struct Keys {
    task_id: Text,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: JobId,
}

/// The answer that Lambda wants to hear: no record to deliver again.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_item_failures: [(); 0],
}

impl Invoke for Feeding {
    fn invoke<'a>(
        &'a self,
        event: &'a RawValue,
        context: Context,
    ) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())?;
            let clock = Clock::new(self.clock, context.deadline);
            let count = event.records.len();
            let running = async {
                for record in event.records {
                    run(&self.ledger, self.kinds, record.dynamodb.keys.task_id.text, clock).await?;
                }
                Ok::<(), Error>(())
            };
            let (outcome, ()) = tokio::join!(running, self.sums.flush((self.clock)(), Flush::Due));
            ended(&self.ledger, outcome.is_ok(), count, 0);
            outcome?;
            Ok(to_raw_value(&Answer::default())?)
        })
    }

    fn remembers(&self) -> bool {
        true
    }

    fn finish(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.sums.flush((self.clock)(), Flush::All))
    }
}
