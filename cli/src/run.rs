//! From the file to the service: read, send, write down, again.

use std::time::{Duration, Instant};

use indicatif::HumanCount;

use crate::answer::{Known, Left, Refusal, Tried};
use crate::call::{Call, Entry, Fate, Limits, MAX_BODY_BYTES, Next, Pending, external_id, refusal};
use crate::clock;
use crate::display::{Display, Progress};
use crate::error::Error;
use crate::http::Http;
use crate::options::{Environment, Ingest};
use crate::rejected::{Rejected, Rejection, Text};
use crate::source::{Content, Job, Source};
use crate::state::{Checkpoint, Counts};
use crate::stop::Stop;
use crate::summary::Summary;

/// Jobs that a run skips before it looks for a signal to stop.
const SKIPPED_AT_ONCE: u64 = 1_000;

/// The part by which an accepted call lets the next one grow, after calls were halved. If a store is always slow,
/// doubling would make every other call fail.
const GROWS_BY: usize = 4;
/// Most jobs that a dry run reports one by one.
const MAX_TOLD: u64 = 100;

/// Sends a file. If any of its jobs was read, returns their summary. If the service did not accept all, returns the
/// error.
pub(crate) async fn ingest(
    options: &Ingest,
    environment: Environment,
) -> (Option<Summary>, Result<(), Error>) {
    let mut run = match Run::prepare(options, environment) {
        Ok(run) => run,
        Err(error) => return (None, Err(error)),
    };
    let ended = run.run().await;
    run.display.end();
    // A run that did not begin has no summary.
    let summary = run.is_begun.then(|| run.summary(ended.is_ok()));
    (summary, ended)
}

struct Run<'a> {
    options: &'a Ingest,
    /// None: the run sends nothing.
    http: Option<Http>,
    source: Source,
    pending: Pending,
    checkpoint: Checkpoint,
    rejected: Rejected,
    display: Display,
    stop: Stop,
    limits: Limits,
    /// Failures in a row.
    failures: u32,
    calls: u64,
    /// The accepted jobs of a call with refused lines, until the rest of the call is confirmed, too.
    taken: Counts,
    is_begun: bool,
    /// Whether a last line was left for the next run, which may find it whole.
    is_unfinished: bool,
    since: Instant,
}

impl<'a> Run<'a> {
    /// Everything that can be found wrong before anything is sent.
    fn prepare(options: &'a Ingest, environment: Environment) -> Result<Self, Error> {
        let stop = Stop::listen().map_err(Error::Machine)?;
        let (url, http) = if options.dry_run {
            (String::new(), None)
        } else {
            let url = options.url(&environment)?;
            let key = options.key(environment)?;
            let http = Http::new(&url, options.owner.as_deref(), &key, options.timeout())?;
            (url, Some(http))
        };
        let source = Source::open(&options.file)?;
        options.check_paths()?;
        let state = if options.dry_run { None } else { options.state_path() };
        let owner = options.owner.as_deref();
        let checkpoint = Checkpoint::open(state, &url, owner, source.size, options.restart)?;
        let rejected = options.rejected();
        let display = Display::new(options.quiet, source.size);
        Ok(Self {
            options,
            http,
            source,
            pending: Pending::default(),
            checkpoint,
            rejected,
            display,
            stop,
            limits: Limits { jobs: options.max_jobs(), bytes: MAX_BODY_BYTES },
            failures: 0,
            calls: 0,
            taken: Counts::default(),
            is_begun: false,
            is_unfinished: false,
            since: clock::now(),
        })
    }

    async fn run(&mut self) -> Result<(), Error> {
        if self.options.dry_run {
            self.is_begun = true;
            return self.look_through();
        }
        self.pass_over()?;
        // Also finds out now whether it can be written.
        let kept = self.rejected.begin(self.checkpoint.state.rejected_bytes)?;
        self.checkpoint.state.rejected_bytes = Some(kept);
        self.checkpoint.save()?;
        self.is_begun = true;
        self.since = clock::now();
        let ended = self.send_all().await;
        // However the run ended, it no longer waits for a call.
        let state = &mut self.checkpoint.state;
        state.under_way = self.pending.has_lost(clock::now());
        if !self.is_unfinished {
            // All rejections of this run are confirmed. Any line after them belongs to another run.
            state.rejected_bytes = None;
        }
        let saved = self.checkpoint.save();
        ended.and(saved)
    }

    async fn send_all(&mut self) -> Result<(), Error> {
        if self.checkpoint.before.under_way {
            self.pending.lost_unknown(clock::now());
        }
        self.ask().await?;
        loop {
            if self.stop.is_asked() {
                return Err(self.interrupted());
            }
            match self.pending.next(&mut self.source, self.limits, clock::now())? {
                Next::Call(call) => self.deliver(call).await?,
                Next::Wait(time) => {
                    let seconds = time.as_secs() + 1;
                    self.display.note(&format!(
                        "waiting {seconds} s: a call without an answer may still write what the next job changes"
                    ));
                    self.stop.wait(time).await;
                }
                Next::Nothing => return Ok(()),
            }
        }
    }

    /// Skips the confirmed part, and checks that it is unchanged.
    fn pass_over(&mut self) -> Result<(), Error> {
        let jobs = self.checkpoint.before.jobs;
        for count in 0..jobs {
            if count.is_multiple_of(SKIPPED_AT_ONCE) && self.stop.is_asked() {
                return Err(self.interrupted());
            }
            match self.source.next()? {
                Some(job) => self.checkpoint.digest(&job),
                None => return Err(self.changed()),
            }
        }
        if !self.checkpoint.matches_source() {
            return Err(self.changed());
        }
        if jobs > 0 {
            self.display.note(&format!("going on after {} jobs that were sent before", HumanCount(jobs)));
            self.display.begin(self.source.read());
        }
        Ok(())
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted { remedy: self.options.remedy() }
    }

    fn changed(&self) -> Error {
        Error::Changed { file: self.options.name(), jobs: self.checkpoint.before.jobs }
    }

    /// Tries a call once, and draws the consequences: it is confirmed, or comes again, perhaps cut smaller.
    async fn deliver(&mut self, call: Call) -> Result<(), Error> {
        let sent = call.sent;
        if call.is_unfinished() {
            return self.leave_unfinished(&call);
        }
        if sent == 0 {
            return self.confirm(&call);
        }
        let Some(http) = &mut self.http else { return Ok(()) };
        match http.send(&call).await {
            Tried::Confirmed(answer) => {
                self.failures = 0;
                self.calls += 1;
                let more = (self.limits.jobs / GROWS_BY).max(1);
                self.limits.jobs = self.limits.jobs.saturating_add(more).min(self.options.max_jobs());
                self.taken.add(answer.taken());
                self.settle(call, answer.rejected)
            }
            Tried::TooLarge(why) if sent == 1 => self.settle(call, vec![Refusal::of_one(why)]),
            Tried::TooLarge(why) => {
                self.limits.bytes = (call.bytes / 2).max(1);
                self.display.note(&format!("{why}; sending less at a time"));
                self.pending.give_back(call);
                Ok(())
            }
            Tried::NotPacked(why) => {
                if !http.unpack() {
                    return Err(Error::Refused(why));
                }
                self.display.note("the service takes no packed calls; sending them as they are");
                self.pending.give_back(call);
                Ok(())
            }
            Tried::Refused(why) => Err(Error::Refused(why)),
            Tried::Again { why, retry_after, left } => {
                if left == Left::Unknown {
                    self.pending.lost(&call, clock::now());
                }
                if left != Left::Nothing {
                    // If there was no time for some jobs, smaller calls send them. As each failing one brings in some,
                    // too, the tries are enough for any store that takes one job in the time of a call.
                    self.limits.jobs = (sent / 2).max(1);
                    self.checkpoint.state.sent_again += 1;
                }
                self.pending.give_back(call);
                self.failed(why, retry_after).await
            }
        }
    }

    /// Waits for the next try, if there is one.
    async fn failed(&mut self, why: String, retry_after: Option<Duration>) -> Result<(), Error> {
        self.failures += 1;
        if self.stop.is_asked() {
            return Err(self.interrupted());
        }
        let tries = self.options.tries;
        if self.failures >= tries {
            return Err(Error::GaveUp { why, tries, remedy: self.options.remedy() });
        }
        let wait = self.options.backoff().wait(self.failures, retry_after);
        let next = self.failures + 1;
        self.display.note(&format!("{why}; try {next} of {tries} in {wait:.1?}"));
        self.stop.wait(wait).await;
        Ok(())
    }

    /// Asks once whether the service is the one that has what was confirmed, and takes the key. If all of the file is in,
    /// nothing else would find out.
    async fn ask(&mut self) -> Result<(), Error> {
        loop {
            let Some(http) = &self.http else { return Ok(()) };
            match http.ask().await {
                Known::Id(service) => {
                    self.failures = 0;
                    return self.checkpoint.is_of(&service);
                }
                Known::Old => {
                    self.failures = 0;
                    return Ok(());
                }
                Known::Refused(why) => return Err(Error::Refused(why)),
                Known::Again { why, retry_after } => self.failed(why, retry_after).await?,
            }
            if self.stop.is_asked() {
                return Err(self.interrupted());
            }
        }
    }

    /// Confirms a call that was answered, unless a line that a refused one superseded must be sent.
    fn settle(&mut self, mut call: Call, refusals: Vec<Refusal>) -> Result<(), Error> {
        if call.settle(refusals) {
            return self.confirm(&call);
        }
        self.pending.give_back(call);
        Ok(())
    }

    /// Stores the outcomes of a call's jobs: first the rejections, then the confirmation. If the run is killed in
    /// between, the next run removes the rejections.
    fn confirm(&mut self, call: &Call) -> Result<(), Error> {
        let rejections: Vec<_> = call.entries.iter().filter_map(rejection).collect();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let superseded = call.entries.iter().filter(|entry| matches!(entry.fate, Fate::Superseded)).count();
        let counts = Counts {
            rejected: count(rejections.len()),
            superseded: count(superseded),
            ..std::mem::take(&mut self.taken)
        };
        let rejected_bytes = self.rejected.write(&rejections)?;
        for entry in &call.entries {
            self.checkpoint.digest(&entry.job);
        }
        let state = &mut self.checkpoint.state;
        state.counts.add(counts);
        state.jobs += count(call.entries.len());
        state.rejected_bytes = Some(rejected_bytes);
        self.checkpoint.save()?;
        let state = &self.checkpoint.state;
        self.display.at(Progress {
            read: self.source.read(),
            size: self.source.size,
            jobs: state.jobs,
            in_this_run: state.jobs - self.checkpoint.before.jobs,
            rejected: state.counts.rejected,
            superseded: state.counts.superseded,
            since: self.since,
        });
        Ok(())
    }

    /// Tells of a last line that perhaps is still being written, and leaves it for the next run: nothing is confirmed.
    fn leave_unfinished(&mut self, call: &Call) -> Result<(), Error> {
        self.rejected.write(&call.entries.iter().filter_map(rejection).collect::<Vec<_>>())?;
        self.is_unfinished = true;
        self.display.note(
            "the last line does not end, and is no JSON; if it is still being written, run this again later",
        );
        Ok(())
    }

    /// Reads the file as it would be sent, and tells what could not be.
    fn look_through(&mut self) -> Result<(), Error> {
        while let Some(job) = self.source.next()? {
            if self.checkpoint.state.jobs.is_multiple_of(SKIPPED_AT_ONCE) && self.stop.is_asked() {
                return Err(self.interrupted());
            }
            self.checkpoint.state.jobs += 1;
            let reason = refusal(&job).or_else(|| no_job(&job));
            if let Some(reason) = reason {
                let wrong = &mut self.checkpoint.state.counts.rejected;
                *wrong += 1;
                if *wrong > MAX_TOLD {
                    continue;
                }
                self.display.note(&format!("{} {}: {reason}", self.source.unit(), job.number));
            }
        }
        Ok(())
    }

    fn summary(&self, is_finished: bool) -> Summary {
        let state = &self.checkpoint.state;
        let left = u64::from(self.is_unfinished);
        let counts = Counts { rejected: state.counts.rejected + left, ..state.counts };
        let has_file = counts.rejected > 0 && !self.options.dry_run;
        Summary {
            file: self.options.name(),
            dry_run: self.options.dry_run,
            finished: is_finished && !self.is_unfinished,
            jobs: state.jobs + left,
            counts,
            rejected_file: has_file.then(|| self.rejected.path().display().to_string()),
            jobs_before: self.checkpoint.before.jobs,
            calls: self.calls,
            sent_again: state.sent_again,
        }
    }
}

/// The line about a job that was rejected.
fn rejection(entry: &Entry) -> Option<Rejection<'_>> {
    let Fate::Refused(refusal) = &entry.fate else { return None };
    Some(Rejection {
        line: entry.job.number,
        external_id: refusal.external_id.as_deref().or(entry.id.as_deref()),
        errors: &refusal.errors,
        errors_left_out: Some(refusal.errors_left_out).filter(|errors| *errors > 0),
        job: Text::of(&entry.job),
    })
}

/// The first error that the service would report for an entry that is no job at all; without any of its text.
fn no_job(job: &Job) -> Option<String> {
    let Content::Whole(text) = &job.content else { return None };
    let error = external_id(text).err()?;
    Some(if error.is_data() {
        "has no external_id that is a text".to_owned()
    } else {
        format!("is no JSON: {error}")
    })
}
