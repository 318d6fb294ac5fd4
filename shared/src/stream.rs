//! Functions that read the stream of `jobs`, or that of `records`: records in, one by one, so that a bad one does not spoil
//! the rest. The stream of `tasks` is read in [`background`].

use std::collections::HashMap;
use std::future::Future;

use aws_lambda_events::dynamodb::EventRecord;
use lambda_runtime::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::access::{Flush, SumWriter};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::lambda::{BoxFuture, Error, Function, Invoke, Started};
use crate::store::schema::{PART, RECORD};
use crate::store::{AttributeMap, Ledger, SequenceNumber};
pub use crate::store::{Batch, StreamRecord, Target, Unreadable};
use crate::telemetry::EventOutcome;

pub mod background;

/// The work of a function on a batch of records.
pub trait Consumer: Send + Sync + 'static {
    /// The function's name.
    const NAME: &'static str;

    /// Takes in a batch; an error has it delivered again, whole.
    fn consume(
        ledger: &Ledger,
        batch: Batch,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The function that consumes the stream so.
pub const fn function<C: Consumer>() -> Function {
    Function { name: C::NAME, routes: Vec::new, start: |environment| Box::pin(start::<C>(environment)) }
}

async fn start<C: Consumer>(environment: Environment) -> Result<Started, Error> {
    let ledger = Ledger::open(&environment).await?;
    ledger.telemetry.start(C::NAME);
    let sums = SumWriter::new(&ledger);
    let consuming =
        Consuming::<C> { ledger, sums, clock: environment.clock, consumer: std::marker::PhantomData };
    Ok(Started::Whole(Box::new(consuming)))
}

/// Events ended: well, or so that they are delivered again.
fn ended(ledger: &Ledger, is_ok: bool, readable: usize, unreadable: usize) {
    let outcome = if is_ok { EventOutcome::Processed } else { EventOutcome::Failed };
    ledger.telemetry.events(outcome, readable);
    ledger.telemetry.events(EventOutcome::Unreadable, if is_ok { unreadable } else { 0 });
}

struct Consuming<C> {
    ledger: Ledger,
    /// The numbers of the function, for operators.
    sums: SumWriter,
    clock: fn() -> Timestamp,
    consumer: std::marker::PhantomData<C>,
}

/// A stream event as far as it can be read whole: the records are read one by one.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records", default)]
    records: Vec<Box<RawValue>>,
    #[serde(rename = "shardId", default)]
    shard_id: Option<String>,
}

/// The answer that Lambda wants to hear: no state to keep, and no record to deliver again.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    state: HashMap<String, String>,
    batch_item_failures: [(); 0],
}

impl<C: Consumer> Invoke for Consuming<C> {
    fn invoke<'a>(&'a self, event: &'a RawValue, _: Context) -> BoxFuture<'a, Result<Box<RawValue>, Error>> {
        Box::pin(async move {
            let event: Event = serde_json::from_str(event.get())?;
            let records: Vec<_> = event.records.iter().map(|record| read(record)).collect();
            let (count, unreadable) =
                (records.len(), records.iter().filter(|record| record.is_err()).count());
            let batch = Batch { shard_id: event.shard_id, records };
            let now = (self.clock)();
            let consuming = C::consume(&self.ledger, batch, now);
            let (outcome, ()) = tokio::join!(consuming, self.sums.flush(now, Flush::Due));
            ended(&self.ledger, outcome.is_ok(), count - unreadable, unreadable);
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

fn read(record: &RawValue) -> Result<StreamRecord, Unreadable> {
    let unreadable = |sequence: Option<SequenceNumber>, problem: String| Unreadable { sequence, problem };
    let event: EventRecord = serde_json::from_str(record.get())
        .map_err(|error| unreadable(sequence_of(record), error.to_string()))?;
    let change = event.change;
    let sequence = change.sequence_number.as_deref().map(SequenceNumber::try_from);
    let Some(Ok(sequence)) = sequence else {
        return Err(unreadable(None, "no sequence number".to_owned()));
    };
    let keys: AttributeMap = change.keys.into();
    let text = |name: &str| keys.get(name).and_then(|value| value.as_s().ok());
    let target = match (text(PART), text(RECORD)) {
        (Some(part), _) => Target::Part(part.clone()),
        (None, Some(_)) => Target::Record,
        (None, None) => {
            return Err(unreadable(
                Some(sequence),
                "its keys are neither a part's nor a record's".to_owned(),
            ));
        }
    };
    // A record without a time reads as 1970.
    let written_at = Timestamp::from(change.approximate_creation_date_time);
    let written_at = (written_at.millis() > 0).then_some(written_at);
    Ok(StreamRecord {
        sequence,
        written_at,
        target,
        old: change.old_image.into(),
        new: change.new_image.into(),
    })
}

/// The sequence number of a record of which nothing else may be readable.
fn sequence_of(record: &RawValue) -> Option<SequenceNumber> {
    let value: serde_json::Value = serde_json::from_str(record.get()).ok()?;
    SequenceNumber::try_from(value.get("dynamodb")?.get("SequenceNumber")?.as_str()?).ok()
}
