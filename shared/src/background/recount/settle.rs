//! The second look at hours that seem wrong.
//!
//! The index and the counts are both late, each in its own way. So an hour that is not what its rows say is looked at
//! again, after some time, and when a probe that was written after the first look has been counted: then all that was
//! written before the probe has been counted too, as far as it went through the same shard. Only an hour that then
//! looks the same, item by item and row by row, is wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RecountState;
use super::look::look;
use super::repair::{Fix, hour_name};
use super::walk::types;
use crate::background::TaskContext;
use crate::counts::{counted_probe, send_probe};
use crate::domain::{Owner, Timestamp};
use crate::store::{Corrupt, Source, StoreError};

/// Most hours that are looked at again together; some more where one day brings them.
pub(super) const MAX_SUSPECTS: usize = 50;
/// How often an hour is looked at again that looks different each time.
const MAX_LOOKS: u8 = 3;
/// How long the counts may be late before the hours are given up, in milliseconds, beside the time to settle.
const PATIENCE_MS: u64 = 900_000;
/// The first wait of a part. Each next one is twice as long, up to `LONGEST_WAIT`.
const FIRST_WAIT: Duration = Duration::from_millis(25);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How often one part waits: about ten seconds in all.
const WAITS: usize = 15;
/// Past so many rows, a part looks at no more hours.
const MAX_ROWS: u64 = 100_000;

/// An hour that seems wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Suspect {
    pub(super) owner: String,
    pub(super) hour: i64,
    /// How it was seen.
    pub(super) seen: String,
    /// How often it has been looked at again.
    pub(super) looks: u8,
}

/// How the time goes.
enum Wait {
    /// Enough has passed.
    Over,
    /// More is needed.
    GoesOn,
    /// The counts do not catch up.
    TooLong,
}

/// Gets on with the hours that seem wrong: waits, or looks at them again.
pub(super) async fn settle(
    context: &TaskContext<'_>,
    source: Source<'_>,
    state: &mut RecountState,
) -> Result<(), StoreError> {
    let Some(since) = state.settling.map(Timestamp::from_millis) else {
        let now = (context.ledger.clock)();
        send_probe(source.store, source.tables, now).await?;
        state.settling = Some(now.millis());
        return Ok(());
    };
    match wait(context, source, since, state.settle_seconds).await? {
        Wait::GoesOn => {}
        Wait::TooLong => {
            let given_up = state.suspects.len() + state.again.len();
            tracing::warn!(hours = given_up, "the counts lag too far behind to compare these hours");
            state.numbers.busy += u64::try_from(given_up).unwrap_or(0);
            state.suspects.clear();
            state.again.clear();
            state.settling = None;
        }
        Wait::Over => {
            look_again(source, state).await?;
            if state.suspects.is_empty() {
                state.suspects = std::mem::take(&mut state.again);
                state.settling = None;
            }
        }
    }
    Ok(())
}

async fn wait(
    context: &TaskContext<'_>,
    source: Source<'_>,
    since: Timestamp,
    settle_seconds: u16,
) -> Result<Wait, StoreError> {
    let settle_ms = u64::from(settle_seconds) * 1_000;
    let mut pause = FIRST_WAIT;
    for _ in 0..WAITS {
        let passed = (context.ledger.clock)().since(since);
        if passed >= settle_ms {
            let counted = counted_probe(source.store, source.tables).await?;
            if counted.is_some_and(|probe| probe.at >= since) {
                return Ok(Wait::Over);
            }
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_WAIT);
    }
    // Asked at the end, so that a task that lay still for long waits some time, too.
    let passed = (context.ledger.clock)().since(since);
    Ok(if passed >= settle_ms + PATIENCE_MS { Wait::TooLong } else { Wait::GoesOn })
}

async fn look_again(source: Source<'_>, state: &mut RecountState) -> Result<(), StoreError> {
    let mut rows = 0;
    while let Some(suspect) = state.suspects.pop() {
        let owner = Owner::try_from(suspect.owner.as_str())
            .map_err(|error| Corrupt::new("owner of an hour that seems wrong", error))?;
        let hour = Timestamp::from_millis(suspect.hour);
        let mut types = types(source, owner.as_str()).await?;
        let found = look(source, &owner, &mut types, hour, hour).await?;
        if let Some(found) = found.into_iter().next() {
            rows += found.rows;
            let (wrong, seen) = (found.view.wrong(), found.view.fingerprint());
            if found.is_steady && wrong == 0 {
                continue;
            }
            if found.is_steady && seen == suspect.seen {
                tracing::error!(%owner, %hour, wrong, "an hour's counts are not what its jobs say");
                let fix = Fix { scope: suspect.owner, place: hour_name(hour), wrong, seen: Some(seen) };
                state.found_wrong(fix);
            } else if suspect.looks + 1 < MAX_LOOKS {
                state.again.push(Suspect { seen, looks: suspect.looks + 1, ..suspect });
            } else {
                state.numbers.busy += 1;
            }
        }
        if rows > MAX_ROWS {
            break;
        }
    }
    Ok(())
}
