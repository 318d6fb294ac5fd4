//! Writing lines: each judged by what is stored, and written on the condition that this has not changed.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::domain::{Defaults, Head, JobId, Verdict, judge};
use jobledger::dynamo::schema::{INPUT, OUTPUT};
use jobledger::dynamo::{Ledger, StoreError, Written, encode_part, head_of_row, plans};
use jobledger::http::FieldError;
use uuid::Uuid;

use crate::line::Line;

/// Lines of a chunk that are written at the same time.
const MAX_WRITES_AT_ONCE: usize = 16;
/// How often a line is judged anew because its job changed meanwhile.
const MAX_TRIES: usize = 4;

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Done {
    Created,
    Updated,
    Unchanged,
    Rejected(FieldError),
}

/// Writes up to 100 lines, none of which says the same job.
pub(crate) async fn chunk(ledger: &Ledger, defaults: &Defaults, lines: &[Line]) -> Result<Vec<Done>, StoreError> {
    let mut stored = read_heads(ledger, defaults, lines).await?;
    let writes: Vec<_> = lines
        .iter()
        .map(|line| upsert(ledger, defaults, line, stored.remove(&line.upsert.job_id(&defaults.owner))))
        .collect();
    stream::iter(writes).buffered(MAX_WRITES_AT_ONCE).try_collect().await
}

async fn read_heads(
    ledger: &Ledger,
    defaults: &Defaults,
    lines: &[Line],
) -> Result<HashMap<JobId, Head>, StoreError> {
    let ids: Vec<JobId> = lines.iter().map(|line| line.upsert.job_id(&defaults.owner)).collect();
    let found = ledger.store.batch_get(plans::get_heads(&ledger.config.tables, &ids)?).await?;
    let heads = found.into_values().flatten().map(head_of_row);
    heads.map(|head| head.map(|head| (head.job.id, head)).map_err(StoreError::from)).collect()
}

/// Writes one line. What was read may be old: a condition that fails tells what is there now.
async fn upsert(
    ledger: &Ledger,
    defaults: &Defaults,
    line: &Line,
    stored: Option<Head>,
) -> Result<Done, StoreError> {
    let mut stored = stored;
    for _ in 0..MAX_TRIES {
        let verdict = match judge(&line.upsert, stored.as_ref(), defaults) {
            Ok(verdict) => verdict,
            Err((field, invalid)) => return Ok(Done::Rejected(FieldError::new(field, invalid))),
        };
        let (head, done) = match verdict {
            Verdict::Unchanged => return Ok(Done::Unchanged),
            Verdict::Create(head) => (head, Done::Created),
            Verdict::Update(head) => (head, Done::Updated),
        };
        write_parts(ledger, &head, line).await?;
        let plan = match &stored {
            None => plans::create_head(&ledger.config.tables, &head)?,
            Some(seen) => plans::replace_head(&ledger.config.tables, &head, seen)?,
        };
        match ledger.store.put(plan).await? {
            Written::Done(_) => {
                if let Some(before) = &stored {
                    drop_parts(ledger, before, &head).await?;
                }
                return Ok(done);
            }
            Written::Refused(item) => {
                let now = item.map(head_of_row).transpose()?;
                if now.as_ref().is_some_and(|now| now.is_same_write(&head)) {
                    return Ok(done);
                }
                // What was written for this head is written again, or replaced, at the next try.
                stored = now;
            }
        }
    }
    Err(StoreError::Unavailable("the job changed at every try".into()))
}

async fn write_parts(ledger: &Ledger, head: &Head, line: &Line) -> Result<(), StoreError> {
    for (prefix, name, json) in [(INPUT, head.input, &line.input), (OUTPUT, head.output, &line.output)] {
        if let Some(name) = name {
            let part = encode_part(head.job.id, &format!("{prefix}{name}"), json.clone());
            ledger.store.put(plans::put_part(&ledger.config.tables, part)).await?;
        }
    }
    Ok(())
}

/// Removes the parts that the new head no longer names.
async fn drop_parts(ledger: &Ledger, before: &Head, now: &Head) -> Result<(), StoreError> {
    let gone = |prefix: &str, old: Option<Uuid>, new: Option<Uuid>| {
        old.filter(|old| Some(*old) != new).map(|old| format!("{prefix}{old}"))
    };
    let parts = [gone(INPUT, before.input, now.input), gone(OUTPUT, before.output, now.output)];
    for part in parts.into_iter().flatten() {
        ledger.store.delete(plans::delete_part(&ledger.config.tables, now.job.id, &part)).await?;
    }
    Ok(())
}
