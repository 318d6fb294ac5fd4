//! Which jobs go together in one call.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::error::Error;
use crate::source::{Content, Job, Source};

/// Most jobs of one call: the service takes no more.
pub const MAX_JOBS: usize = 10_000;
/// Longest body of a call before it is packed: the service takes 5 MiB.
pub const MAX_BODY_BYTES: usize = 4_500_000;
/// How long a call whose answer was lost may still be under way: API Gateway ends it after 30 s.
const MAX_CALL_TIME: Duration = Duration::from_secs(31);

/// A job that is about to be sent, or to be passed over.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) job: Job,
    /// Its `external_id`, where it can be read.
    pub(crate) id: Option<String>,
}

impl Entry {
    fn new(job: Job) -> Self {
        let id = match &job.content {
            Content::Whole(text) => external_id(text).ok(),
            Content::TooLong { .. } | Content::Unfinished(_) => None,
        };
        Self { job, id }
    }

    /// What is sent of it.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        match &self.job.content {
            Content::Whole(text) => Some(text),
            Content::TooLong { .. } | Content::Unfinished(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        self.text().map_or(0, |text| text.len() + 1)
    }
}

/// The id of a job whose JSON can be read. Of any other, the service says what is wrong.
pub(crate) fn external_id(text: &[u8]) -> serde_json::Result<String> {
    #[derive(Deserialize)]
    struct Named {
        external_id: String,
    }
    let named: Named = serde_json::from_slice(text)?;
    Ok(named.external_id.trim().to_owned())
}

/// What one call may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// Jobs that go together, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: usize,
}

impl Call {
    /// The body: a job a line.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes);
        for text in self.entries.iter().filter_map(Entry::text) {
            body.extend_from_slice(text);
            body.push(b'\n');
        }
        body
    }

    /// The jobs that are sent: the answer's line 1 is the first of them.
    pub(crate) fn sent(&self) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.text().is_some()).collect()
    }

    /// Whether it is nothing but a last line that perhaps is still being written.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.entries.as_slice(), [Entry { job: Job { content: Content::Unfinished(_), .. }, .. }])
    }

    fn takes(&self, entry: &Entry, limits: Limits) -> bool {
        // The first goes in anyhow: no limit is below one job.
        self.entries.is_empty()
            || (self.entries.len() < limits.jobs
                && self.bytes + entry.bytes() <= limits.bytes
                && !matches!(entry.job.content, Content::Unfinished(_)))
    }
}

/// What comes next of a file.
#[derive(Debug)]
pub(crate) enum Next {
    Call(Call),
    /// The next job tells anew of one whose call may still be under way, and must not be overtaken by it.
    Wait(Duration),
    Nothing,
}

/// The jobs that were read and not sent yet: at most one call's, and one more.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    jobs: VecDeque<Entry>,
    /// Why no more can be read: told once all before it is sent.
    fault: Option<Error>,
    late: Late,
}

impl Pending {
    /// Cuts the next call from what is there.
    pub(crate) fn next(&mut self, source: &mut Source, limits: Limits, now: Instant) -> Result<Next, Error> {
        let mut call = Call::default();
        let mut ids = HashSet::new();
        loop {
            if self.jobs.is_empty() && self.fault.is_none() {
                match source.next() {
                    Ok(job) => self.jobs.extend(job.map(Entry::new)),
                    Err(fault) => self.fault = Some(fault),
                }
            }
            let Some(entry) = self.jobs.front() else { break };
            if !call.takes(entry, limits) || entry.id.as_ref().is_some_and(|id| ids.contains(id)) {
                break;
            }
            if let Some(left) = self.late.overtaken_by(entry, now) {
                if call.entries.is_empty() {
                    return Ok(Next::Wait(left));
                }
                break;
            }
            if let Some(entry) = self.jobs.pop_front() {
                call.bytes += entry.bytes();
                ids.extend(entry.id.clone());
                call.entries.push(entry);
            }
        }
        if !call.entries.is_empty() {
            return Ok(Next::Call(call));
        }
        self.fault.take().map_or(Ok(Next::Nothing), Err)
    }

    /// Takes back what was not confirmed, to be cut anew.
    pub(crate) fn give_back(&mut self, call: Call) {
        for entry in call.entries.into_iter().rev() {
            self.jobs.push_front(entry);
        }
    }

    /// Notes that this call may still be under way, although it was given up.
    pub(crate) fn lost(&mut self, call: &Call, now: Instant) {
        self.late.0.retain(|_, (_, until)| *until > now);
        for entry in &call.entries {
            if let Some(id) = &entry.id {
                self.late.0.insert(id.clone(), (entry.job.number, now + MAX_CALL_TIME));
            }
        }
    }

    /// Whether any call that was given up may still be under way.
    pub(crate) fn has_lost(&self, now: Instant) -> bool {
        self.late.0.values().any(|(_, until)| *until > now)
    }

    /// How many are held.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.jobs.len()
    }
}

/// Jobs of calls whose answers were lost: by id, their numbers, and until when their calls may still write them.
#[derive(Debug, Default)]
struct Late(HashMap<String, (u64, Instant)>);

impl Late {
    /// How long a job has to wait that tells something else of one of these.
    fn overtaken_by(&self, entry: &Entry, now: Instant) -> Option<Duration> {
        let (number, until) = self.0.get(entry.id.as_ref()?)?;
        let left = until.saturating_duration_since(now);
        (*number != entry.job.number && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests;
