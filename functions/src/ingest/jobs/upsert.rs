//! Writing lines: each judged by what is stored, and written on the condition that this has not changed.

use std::collections::{BTreeSet, HashMap};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use jobledger::domain::{Arrival, Defaults, Head, JobId, TypeName, Verdict, judge};
use jobledger::http::FieldError;
use jobledger::queue::Made;
use jobledger::store::{Ledger, Part, StoreError, input_part, output_part};

use super::line::Line;
use super::pace::Pace;

/// Lines of a chunk that are written at the same time.
const MAX_WRITES_AT_ONCE: usize = 16;
/// Parts that are sent in one request: as many as one of DynamoDB takes.
const MAX_PARTS_AT_ONCE: usize = 25;
/// How often a line is judged anew because its job changed meanwhile. One call changes a job once, so this is how many
/// calls may tell of the same job at once.
const MAX_TRIES: usize = 16;

/// The outcome of a line.
#[derive(Debug)]
pub(crate) enum Done {
    Created,
    Updated,
    Unchanged,
    Rejected(Vec<FieldError>),
    /// Its type is one more than the owner may use: so many.
    TooManyTypes(u32),
}

/// Writes the lines of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upserts<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) defaults: &'a Defaults,
    pub(crate) pace: &'a Pace,
    /// How many types the owner may use, as the key says.
    pub(crate) max_types: Option<u32>,
}

impl Upserts<'_> {
    /// Writes up to 100 lines, none of which says the same job.
    pub(crate) async fn chunk(self, lines: &[Line]) -> Result<Vec<Done>, StoreError> {
        let mut stored = self.read_heads(lines).await?;
        let judged = lines.iter().map(|line| {
            let stored = stored.remove(&line.upsert.job_id(&self.defaults.owner));
            let (step, parts) = next(line, stored.as_ref(), self.defaults);
            (line, stored, step, parts)
        });
        let judged: Vec<_> = judged.collect();
        let new_types = judged.iter().filter_map(|(line, stored, step, _)| {
            let has_it = stored.as_ref().is_some_and(|stored| stored.job.kind == line.upsert.kind);
            (matches!(step, Step::Write(..)) && !has_it).then(|| line.upsert.kind.clone())
        });
        let (refused, limit) = self.admit(&new_types.collect()).await?;
        let mut parts = Vec::new();
        let judged: Vec<_> = judged
            .into_iter()
            .map(|(line, stored, step, its_parts)| match step {
                Step::Write(..) if refused.contains(&line.upsert.kind) => {
                    (line, stored, Step::Stop(Done::TooManyTypes(limit)))
                }
                step => {
                    parts.extend(its_parts);
                    (line, stored, step)
                }
            })
            .collect();
        for parts in parts.chunks(MAX_PARTS_AT_ONCE) {
            self.pace.send(async || self.ledger.jobs().put_parts(parts).await).await?;
        }
        let writes: Vec<_> =
            judged.into_iter().map(|(line, stored, step)| self.upsert(line, stored, step)).collect();
        stream::iter(writes).buffered(MAX_WRITES_AT_ONCE).try_collect().await
    }

    /// Of the types of new jobs, those that the owner may not use; and how many it may.
    async fn admit(self, kinds: &BTreeSet<TypeName>) -> Result<(BTreeSet<TypeName>, u32), StoreError> {
        let Self { ledger, defaults, pace, max_types } = self;
        pace.send(async || ledger.jobs().admit(&defaults.owner, kinds, max_types).await).await
    }

    /// The heads that are stored now. If a line says nothing new, or may not go in, the call tells so without a write
    /// that would find out.
    async fn read_heads(self, lines: &[Line]) -> Result<HashMap<JobId, Head>, StoreError> {
        let Self { ledger, defaults, pace, .. } = self;
        let ids: Vec<JobId> = lines.iter().map(|line| line.upsert.job_id(&defaults.owner)).collect();
        pace.send(async || ledger.jobs().heads(&ids).await).await
    }

    /// Writes one line. The head that was read may be old: if the condition fails, the store returns the present one.
    async fn upsert(self, line: &Line, mut stored: Option<Head>, mut step: Step) -> Result<Done, StoreError> {
        let Self { ledger, defaults, pace, .. } = self;
        for _ in 0..MAX_TRIES {
            let (head, done) = match step {
                Step::Stop(done) => return Ok(done),
                Step::Write(head, done) => (head, done),
            };
            let put = pace.send(async || ledger.jobs().put(&head, stored.as_ref()).await).await?;
            let (is_done, there) = match put {
                Made::Done(_) => (true, None),
                Made::Refused(there) => (
                    there.as_ref().is_some_and(|there| there.is_same_write(&head)),
                    there.map(|there| *there),
                ),
            };
            if is_done {
                if let Some(gone) = &stored {
                    pace.send(|| ledger.remove_parts(gone, Some(&head))).await?;
                }
                return Ok(done);
            }
            stored = there;
            // All tries of this call name their parts alike: they are there already, or no longer wanted.
            step = next(line, stored.as_ref(), defaults).0;
            if let Step::Stop(_) = step {
                pace.send(|| ledger.remove_parts(&head, stored.as_ref())).await?;
            }
        }
        Err(StoreError::Unavailable("the job changed at every try".into()))
    }
}

/// The next step for a line.
enum Step {
    /// Put this head, once its parts are there.
    Write(Box<Head>, Done),
    /// Nothing.
    Stop(Done),
}

/// The next step, and the parts of the head that it puts.
fn next(line: &Line, stored: Option<&Head>, defaults: &Defaults) -> (Step, Vec<Part>) {
    let write = |mut head: Box<Head>, done| {
        let place = u32::try_from(line.number).unwrap_or(u32::MAX);
        head.arrive(stored, Arrival { at: defaults.now, line: place });
        let parts = parts_of(&head, line);
        head.job.bytes = parts.iter().map(Part::bytes).sum();
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

/// The parts that a line gives to keep beside the head.
fn parts_of(head: &Head, line: &Line) -> Vec<Part> {
    let parts = [(head.input.map(input_part), &line.input), (head.output.map(output_part), &line.output)];
    let parts = parts.into_iter().filter_map(|(part, json)| Some((part?, json)));
    parts.map(|(part, json)| Part::new(head.job.id, &part, json.clone())).collect()
}
