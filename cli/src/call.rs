//! Which jobs go together in one call.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::answer::Refusal;
use crate::error::Error;
use crate::source::{Content, Job, MAX_JOB_BYTES, Source};

/// Most jobs of one call: the service takes no more, and no more are held.
pub(crate) const MAX_JOBS: usize = 10_000;
/// Longest body of a call before it is packed: the service takes 5 MiB.
pub(crate) const MAX_BODY_BYTES: usize = 4_500_000;
/// How long a call whose answer was lost may still run: Lambda ends its function after 29 s (template.yaml), and the
/// rest is for its way there.
const MAX_CALL_TIME: Duration = Duration::from_secs(31);

/// A job before it is sent, or skipped.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) job: Job,
    /// Its `external_id`, if it can be read.
    pub(crate) id: Option<String>,
    pub(crate) fate: Fate,
}

/// The outcome of a job.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Nothing yet.
    Open,
    /// A later line of the call has the same job, so this line is not sent. That stays so if the call is cut again: the
    /// service may have the later line, and must not get an older one after it.
    Superseded,
    /// The service accepted it.
    Taken,
    /// It cannot be sent, or the service rejected it.
    Refused(Refusal),
}

impl Entry {
    fn new(job: Job) -> Self {
        let id = match &job.content {
            Content::Whole(text) => external_id(text).ok(),
            Content::TooLong { .. } | Content::Unfinished(_) => None,
        };
        let fate = refusal(&job).map_or(Fate::Open, |message| Fate::Refused(Refusal::of_one(message)));
        Self { job, id, fate }
    }

    /// The text to send of it, if any.
    fn text(&self) -> Option<&[u8]> {
        match (&self.fate, &self.job.content) {
            (Fate::Open, Content::Whole(text)) => Some(text),
            (Fate::Open, Content::TooLong { .. } | Content::Unfinished(_))
            | (Fate::Superseded | Fate::Taken | Fate::Refused(_), _) => None,
        }
    }

    fn bytes(&self) -> usize {
        self.text().map_or(0, |text| text.len() + 1)
    }
}

/// The reason why a job cannot be sent, if the command knows it without the service.
pub(crate) fn refusal(job: &Job) -> Option<String> {
    match &job.content {
        Content::Whole(_) => None,
        Content::TooLong { bytes, .. } => {
            Some(format!("has {bytes} bytes; a job has at most {MAX_JOB_BYTES}"))
        }
        Content::Unfinished(_) => Some("the file ends within it".to_owned()),
    }
}

/// The id of a job whose JSON can be read. For other jobs, the service names the error.
pub(crate) fn external_id(text: &[u8]) -> serde_json::Result<String> {
    #[derive(Deserialize)]
    struct Named {
        external_id: String,
    }
    let named: Named = serde_json::from_slice(text)?;
    Ok(named.external_id.trim().to_owned())
}

/// The limits of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) jobs: usize,
    pub(crate) bytes: usize,
}

/// Jobs that go together, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) entries: Vec<Entry>,
    /// How many of them are sent.
    pub(crate) sent: usize,
    /// The body's.
    pub(crate) bytes: usize,
    /// Of all of them, as the file has them.
    held: usize,
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

    /// Whether it has only a last line whose end may still be written.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self.entries.as_slice(), [Entry { job: Job { content: Content::Unfinished(_), .. }, .. }])
    }

    /// Notes the lines that the service refused, by their place in the body, counted from 1. The service has the other
    /// lines. If a refused line superseded another one, that one is to be sent after all: a wrong line keeps no other
    /// out. Returns whether there is none to send.
    pub(crate) fn settle(&mut self, refusals: Vec<Refusal>) -> bool {
        let mut refusals: HashMap<_, _> =
            refusals.into_iter().map(|refusal| (refusal.line, refusal)).collect();
        let mut refused = HashSet::new();
        let sent = self.entries.iter_mut().filter(|entry| entry.text().is_some());
        for (entry, line) in sent.zip(1..) {
            entry.fate = match refusals.remove(&line) {
                Some(refusal) => {
                    refused.extend(entry.id.clone());
                    Fate::Refused(refusal)
                }
                None => Fate::Taken,
            };
        }
        let mut is_settled = true;
        let mut taken = HashSet::new();
        for entry in self.entries.iter_mut().rev() {
            let Some(id) = &entry.id else { continue };
            match entry.fate {
                Fate::Taken => {
                    taken.insert(id);
                }
                Fate::Superseded if refused.contains(id) && !taken.contains(id) => {
                    entry.fate = Fate::Open;
                    is_settled = false;
                }
                Fate::Open | Fate::Superseded | Fate::Refused(_) => {}
            }
        }
        is_settled
    }

    /// Whether the call has room for this job, which may supersede an older one.
    fn takes(&self, entry: &Entry, older: Option<usize>, limits: Limits) -> bool {
        // The first job always goes in: no limit is below one job.
        if self.entries.is_empty() {
            return true;
        }
        let older_bytes = older.and_then(|older| self.entries.get(older)).map_or(0, Entry::bytes);
        let sent = self.sent + usize::from(entry.text().is_some()) - usize::from(older.is_some());
        self.entries.len() < MAX_JOBS
            && self.held + entry.job.bytes() <= MAX_BODY_BYTES
            && sent <= limits.jobs
            && self.bytes - older_bytes + entry.bytes() <= limits.bytes
            && !matches!(entry.job.content, Content::Unfinished(_))
    }

    fn push(&mut self, entry: Entry, older: Option<usize>) {
        if let Some(older) = older.and_then(|older| self.entries.get_mut(older)) {
            self.bytes -= older.bytes();
            self.sent -= 1;
            older.fate = Fate::Superseded;
        }
        self.sent += usize::from(entry.text().is_some());
        self.bytes += entry.bytes();
        self.held += entry.job.bytes();
        self.entries.push(entry);
    }
}

/// The next part of a file.
#[derive(Debug)]
pub(crate) enum Next {
    Call(Call),
    /// The next job is a new state of a job whose call may still run. It must not overtake that call.
    Wait(Duration),
    Nothing,
}

/// The jobs that were read and not sent yet: at most one call's, and one more.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    jobs: VecDeque<Entry>,
    /// The reason why no more can be read. It is reported once all jobs before are sent.
    fault: Option<Error>,
    late: Late,
}

impl Pending {
    /// Cuts the next call from what is there.
    pub(crate) fn next(&mut self, source: &mut Source, limits: Limits, now: Instant) -> Result<Next, Error> {
        let mut call = Call::default();
        // The place in the call of each job that is to be sent.
        let mut places = HashMap::new();
        loop {
            if self.jobs.is_empty() && self.fault.is_none() {
                match source.next() {
                    Ok(job) => self.jobs.extend(job.map(Entry::new)),
                    Err(fault) => self.fault = Some(fault),
                }
            }
            let Some(entry) = self.jobs.front() else { break };
            let id = entry.id.clone().filter(|_| entry.text().is_some());
            let older = id.as_ref().and_then(|id| places.get(id)).copied();
            if older.is_some()
                && let Some(left) = self.late.is_unknown(now)
            {
                // The older line may be in a call that still runs, and arrive after the newer one.
                self.give_back(call);
                return Ok(Next::Wait(left));
            }
            if !call.takes(entry, older, limits) {
                break;
            }
            if let Some(left) = self.late.overtaken_by(entry, now) {
                if call.entries.is_empty() {
                    return Ok(Next::Wait(left));
                }
                break;
            }
            if let Some(entry) = self.jobs.pop_front() {
                self.late.sees(&entry, now);
                places.extend(id.map(|id| (id, call.entries.len())));
                call.push(entry, older);
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

    /// Notes that this call may still run, although the command gave it up.
    pub(crate) fn lost(&mut self, call: &Call, now: Instant) {
        self.late.jobs.retain(|_, (_, until)| *until > now);
        for entry in call.entries.iter().filter(|entry| entry.text().is_some()) {
            self.late.note(entry, now + MAX_CALL_TIME);
        }
    }

    /// Notes that a call with unknown jobs may still run, because an earlier run was killed.
    pub(crate) fn lost_unknown(&mut self, now: Instant) {
        self.late.unknown = Some(now + MAX_CALL_TIME);
    }

    /// Whether any call that was given up may still run.
    pub(crate) fn has_lost(&self, now: Instant) -> bool {
        self.late.is_unknown(now).is_some() || self.late.jobs.values().any(|(_, until)| *until > now)
    }

    /// How many are held.
    #[cfg(test)]
    fn held(&self) -> usize {
        self.jobs.len()
    }
}

/// Calls whose answers were lost, as long as they may still write.
#[derive(Debug, Default)]
struct Late {
    /// By id: the job's number, and until when.
    jobs: HashMap<String, (u64, Instant)>,
    /// The end of a call with unknown jobs. Its jobs are among the first [`MAX_JOBS`] of this run.
    unknown: Option<Instant>,
}

impl Late {
    /// How long a job has to wait, if it is newer than the same job in such a call.
    fn overtaken_by(&self, entry: &Entry, now: Instant) -> Option<Duration> {
        let id = entry.id.as_ref().filter(|_| entry.text().is_some())?;
        let (number, until) = self.jobs.get(id)?;
        let left = until.saturating_duration_since(now);
        (*number < entry.job.number && !left.is_zero()).then_some(left)
    }

    /// How long the call with unknown jobs may still run.
    fn is_unknown(&self, now: Instant) -> Option<Duration> {
        let left = self.unknown?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Notes a job that the call with unknown jobs may have, too.
    fn sees(&mut self, entry: &Entry, now: Instant) {
        if let Some(left) = self.is_unknown(now)
            && self.jobs.len() < MAX_JOBS
        {
            self.note(entry, now + left);
        }
    }

    fn note(&mut self, entry: &Entry, until: Instant) {
        if let Some(id) = &entry.id {
            self.jobs.insert(id.clone(), (entry.job.number, until));
        }
    }
}

#[cfg(test)]
mod tests;
