//! Writing lines: each judged by what is stored, and written on the condition that this has not changed.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::domain::{Defaults, Head, JobId, Verdict, judge};
use jobledger::dynamo::{
    AttributeMap, Ledger, StoreError, Written, encode_part, head_of_row, input_part, output_part, part_bytes,
    plans,
};
use jobledger::http::FieldError;

use crate::line::Line;

/// Lines of a chunk that are written at the same time.
const MAX_WRITES_AT_ONCE: usize = 16;
/// How often a line is judged anew because its job changed meanwhile. One call changes a job once, so this is how many
/// calls may tell of the same job at once.
const MAX_TRIES: usize = 16;

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Done {
    Created,
    Updated,
    Unchanged,
    Rejected(Vec<FieldError>),
}

/// Writes up to 100 lines, none of which says the same job.
pub(crate) async fn chunk(
    ledger: &Ledger,
    defaults: &Defaults,
    lines: &[Line],
) -> Result<Vec<Done>, StoreError> {
    let mut stored = read_heads(ledger, defaults, lines).await?;
    let mut parts = Vec::new();
    let judged: Vec<_> = lines
        .iter()
        .map(|line| {
            let stored = stored.remove(&line.upsert.job_id(&defaults.owner));
            let (step, its_parts) = next(line, stored.as_ref(), defaults);
            parts.extend(its_parts);
            (line, stored, step)
        })
        .collect();
    ledger.store.batch_put(&ledger.config.tables.jobs, parts).await?;
    let writes: Vec<_> =
        judged.into_iter().map(|(line, stored, step)| upsert(ledger, defaults, line, stored, step)).collect();
    stream::iter(writes).buffered(MAX_WRITES_AT_ONCE).try_collect().await
}

/// What is to be done next about a line.
enum Step {
    /// Put this head, once its parts are there.
    Write(Box<Head>, Done),
    /// Nothing.
    Stop(Done),
}

/// The next step, and the parts of the head that it puts.
fn next(line: &Line, stored: Option<&Head>, defaults: &Defaults) -> (Step, Vec<AttributeMap>) {
    let write = |mut head: Box<Head>, done| {
        let parts = parts_of(&head, line);
        head.job.bytes = parts.iter().map(part_bytes).sum();
        (Step::Write(head, done), parts)
    };
    match judge(&line.upsert, stored, defaults) {
        Ok(Verdict::Create(head)) => write(head, Done::Created),
        Ok(Verdict::Update(head)) => write(head, Done::Updated),
        Ok(Verdict::Unchanged) => (Step::Stop(Done::Unchanged), Vec::new()),
        Err(wrong) => {
            let errors = wrong.into_iter().map(|(field, invalid)| FieldError::new(field, invalid));
            (Step::Stop(Done::Rejected(errors.collect())), Vec::new())
        }
    }
}

/// What is stored as of now: that a line says nothing new, or may not go in, is said without a write that would find out.
async fn read_heads(
    ledger: &Ledger,
    defaults: &Defaults,
    lines: &[Line],
) -> Result<HashMap<JobId, Head>, StoreError> {
    let ids: Vec<JobId> = lines.iter().map(|line| line.upsert.job_id(&defaults.owner)).collect();
    let found = ledger.store.batch_get(plans::get_heads_now(&ledger.config.tables, &ids)?).await?;
    let heads = found.into_values().flatten().map(head_of_row);
    heads.map(|head| head.map(|head| (head.job.id, head)).map_err(StoreError::from)).collect()
}

/// Writes one line. What was read may be old: a condition that fails tells what is there now.
async fn upsert(
    ledger: &Ledger,
    defaults: &Defaults,
    line: &Line,
    mut stored: Option<Head>,
    mut step: Step,
) -> Result<Done, StoreError> {
    for _ in 0..MAX_TRIES {
        let (head, done) = match step {
            Step::Stop(done) => return Ok(done),
            Step::Write(head, done) => (head, done),
        };
        let plan = match &stored {
            None => plans::create_head(&ledger.config.tables, &head)?,
            Some(seen) => plans::replace_head(&ledger.config.tables, &head, seen)?,
        };
        let (is_done, there) = match ledger.store.put(plan).await? {
            Written::Done(_) => (true, None),
            Written::Refused(item) => {
                let there = item.map(head_of_row).transpose()?;
                (there.as_ref().is_some_and(|there| there.is_same_write(&head)), there)
            }
        };
        if is_done {
            if let Some(gone) = &stored {
                ledger.remove_parts(gone, Some(&head)).await?;
            }
            return Ok(done);
        }
        stored = there;
        // All tries of this call name their parts alike: they are there already, or no longer wanted.
        step = next(line, stored.as_ref(), defaults).0;
        if let Step::Stop(_) = step {
            ledger.remove_parts(&head, stored.as_ref()).await?;
        }
    }
    Err(StoreError::Unavailable("the job changed at every try".into()))
}

/// What a line gives to keep beside the head.
fn parts_of(head: &Head, line: &Line) -> Vec<AttributeMap> {
    let parts = [(head.input.map(input_part), &line.input), (head.output.map(output_part), &line.output)];
    let parts = parts.into_iter().filter_map(|(part, json)| Some((part?, json)));
    parts.map(|(part, json)| encode_part(head.job.id, &part, json.clone())).collect()
}
