//! From the file to the service: read, send, write down, again.

use std::time::Instant;

use indicatif::HumanCount;

use crate::answer::{Answer, FieldError, Tried};
use crate::call::{Call, Entry, Limits, MAX_BODY_BYTES, Next, Pending, external_id};
use crate::clock;
use crate::error::Error;
use crate::http::Http;
use crate::options::{Environment, Ingest};
use crate::rejected::{Rejected, Rejection};
use crate::show::{Far, Show};
use crate::source::{Content, Job, MAX_JOB_BYTES, Source};
use crate::state::{Counts, Record};
use crate::stop::Stop;
use crate::summary::Summary;

/// Jobs that are passed over before somebody who wants it to end is heard.
const SKIPPED_AT_ONCE: u64 = 1_000;

/// Most jobs that a dry run tells of one by one.
const MAX_TOLD: u64 = 100;

/// Sends a file: what has become of its jobs, where any of them was looked at, and why not all of them went in.
pub async fn ingest(options: &Ingest, environment: Environment) -> (Option<Summary>, Result<(), Error>) {
    let mut run = match Run::prepare(options, environment) {
        Ok(run) => run,
        Err(error) => return (None, Err(error)),
    };
    let ended = run.whole().await;
    run.show.end();
    // One that could not even begin has nothing to tell.
    let summary = run.is_begun.then(|| run.summary(ended.is_ok()));
    (summary, ended)
}

struct Run<'a> {
    options: &'a Ingest,
    /// None: nothing is to be sent.
    http: Option<Http>,
    source: Source,
    pending: Pending,
    record: Record,
    rejected: Rejected,
    show: Show,
    stop: Stop,
    limits: Limits,
    /// In a row.
    failures: u32,
    calls: u64,
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
        let record = Record::open(state, &url, owner, source.size, options.restart)?;
        let rejected = Rejected::new(options.rejected_path());
        let show = Show::new(options.quiet, source.size);
        Ok(Self {
            options,
            http,
            source,
            pending: Pending::default(),
            record,
            rejected,
            show,
            stop,
            limits: Limits { jobs: options.max_jobs(), bytes: MAX_BODY_BYTES },
            failures: 0,
            calls: 0,
            is_begun: false,
            is_unfinished: false,
            since: clock::now(),
        })
    }

    async fn whole(&mut self) -> Result<(), Error> {
        if self.options.dry_run {
            self.is_begun = true;
            return self.look_through();
        }
        self.pass_over()?;
        // Also finds out now whether it can be written.
        self.rejected.begin(self.record.state.rejected_bytes)?;
        self.record.save()?;
        self.is_begun = true;
        self.since = clock::now();
        let ended = self.send_all().await;
        // Whatever ended it, no call of this run goes on that somebody waits for.
        self.record.state.under_way = self.pending.has_lost(clock::now());
        let saved = self.record.save();
        ended.and(saved)
    }

    async fn send_all(&mut self) -> Result<(), Error> {
        loop {
            if self.stop.is_asked() {
                return Err(self.interrupted());
            }
            match self.pending.next(&mut self.source, self.limits, clock::now())? {
                Next::Call(call) => {
                    if std::mem::take(&mut self.record.before.under_way) {
                        // These are the jobs that a run was sending when it was killed.
                        self.pending.lost(&call, clock::now());
                    }
                    self.deliver(call).await?;
                }
                Next::Wait(time) => {
                    let seconds = time.as_secs() + 1;
                    self.show.note(&format!(
                        "waiting {seconds} s: a call without an answer may still write what the next job changes"
                    ));
                    self.stop.wait(time).await;
                }
                Next::Nothing => return Ok(()),
            }
        }
    }

    /// Passes over what was confirmed, and looks whether it still is the same.
    fn pass_over(&mut self) -> Result<(), Error> {
        let jobs = self.record.before.jobs;
        for count in 0..jobs {
            if count.is_multiple_of(SKIPPED_AT_ONCE) && self.stop.is_asked() {
                return Err(self.interrupted());
            }
            match self.source.next()? {
                Some(job) => self.record.digest(&job),
                None => return Err(self.changed()),
            }
        }
        if !self.record.is_same() {
            return Err(self.changed());
        }
        if jobs > 0 {
            self.show.note(&format!("going on after {} jobs that were sent before", HumanCount(jobs)));
            self.show.begin(self.source.read());
        }
        Ok(())
    }

    fn interrupted(&self) -> Error {
        Error::Interrupted { remedy: self.options.remedy() }
    }

    fn changed(&self) -> Error {
        Error::Changed { file: self.options.name(), jobs: self.record.before.jobs }
    }

    /// Tries a call once, and draws the consequences: it is confirmed, or comes again, perhaps cut smaller.
    async fn deliver(&mut self, call: Call) -> Result<(), Error> {
        let sent = call.sent().len();
        if call.is_unfinished() {
            return self.leave(&call);
        }
        if sent == 0 {
            return self.confirm(&call, None, None);
        }
        let Some(http) = &mut self.http else { return Ok(()) };
        match http.send(&call).await {
            Tried::Confirmed(answer) => {
                self.failures = 0;
                self.limits.jobs = self.limits.jobs.saturating_mul(2).min(self.options.max_jobs());
                self.confirm(&call, Some(&answer), None)
            }
            Tried::TooLarge(why) if sent == 1 => self.confirm(&call, None, Some(why)),
            Tried::TooLarge(why) => {
                self.limits.bytes = (call.bytes / 2).max(1);
                self.show.note(&format!("{why}; sending less at a time"));
                self.pending.give_back(call);
                Ok(())
            }
            Tried::NotPacked(why) => {
                if !http.unpack() {
                    return Err(Error::Refused(why));
                }
                self.show.note("the service takes no packed calls; sending them as they are");
                self.pending.give_back(call);
                Ok(())
            }
            Tried::Refused(why) => Err(Error::Refused(why)),
            Tried::Again { why, retry_after, is_lost } => {
                if is_lost {
                    self.pending.lost(&call, clock::now());
                    // Perhaps it has more to do than the service has time for.
                    self.limits.jobs = (sent / 2).max(1);
                }
                self.pending.give_back(call);
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
                self.show.note(&format!("{why}; try {next} of {tries} in {wait:.1?}"));
                self.stop.wait(wait).await;
                Ok(())
            }
        }
    }

    /// Writes down what became of a call's jobs: first what was rejected, then that all of them are dealt with. Killed in
    /// between, the next run takes back the first.
    fn confirm(
        &mut self,
        call: &Call,
        answer: Option<&Answer>,
        too_large: Option<String>,
    ) -> Result<(), Error> {
        let too_large = too_large.map(|why| [FieldError { field: "line".to_owned(), message: why }]);
        let here: Vec<_> = call.entries.iter().map(|entry| (entry, reason(&entry.job))).collect();
        let mut rejections: Vec<_> = here
            .iter()
            .filter_map(|(entry, reason)| {
                let errors = reason.as_ref().or(too_large.as_ref())?;
                Some(rejection(entry, errors, 0))
            })
            .collect();
        self.record.state.counts.rejected += u64::try_from(rejections.len()).unwrap_or(u64::MAX);
        if let Some(answer) = answer {
            let sent = call.sent();
            rejections.extend(answer.rejected.iter().filter_map(|refusal| {
                let entry = sent.get(refusal.line.checked_sub(1)?)?;
                let told = rejection(entry, &refusal.errors, refusal.errors_left_out);
                Some(Rejection { external_id: refusal.external_id.as_deref().or(told.external_id), ..told })
            }));
            rejections.sort_by_key(|rejection| rejection.line);
            self.record.state.counts.add(answer);
            self.calls += 1;
        }
        let rejected_bytes = self.rejected.write(&rejections)?;
        for entry in &call.entries {
            self.record.digest(&entry.job);
        }
        self.record.state.jobs += u64::try_from(call.entries.len()).unwrap_or(u64::MAX);
        self.record.state.rejected_bytes = rejected_bytes;
        self.record.save()?;
        self.show.at(Far {
            read: self.source.read(),
            size: self.source.size,
            jobs: self.record.state.jobs,
            in_this_run: self.record.state.jobs - self.record.before.jobs,
            rejected: self.record.state.counts.rejected,
            since: self.since,
        });
        Ok(())
    }

    /// Tells of a last line that perhaps is still being written, and leaves it for the next run: nothing is confirmed.
    fn leave(&mut self, call: &Call) -> Result<(), Error> {
        let here: Vec<_> = call.entries.iter().map(|entry| (entry, reason(&entry.job))).collect();
        let told = here.iter().filter_map(|(entry, reason)| Some(rejection(entry, reason.as_ref()?, 0)));
        self.rejected.write(&told.collect::<Vec<_>>())?;
        self.is_unfinished = true;
        self.show.note(
            "the last line does not end, and is no JSON; if it is still being written, run this again later",
        );
        Ok(())
    }

    /// Reads the file as it would be sent, and tells what could not be.
    fn look_through(&mut self) -> Result<(), Error> {
        while let Some(job) = self.source.next()? {
            if self.record.state.jobs.is_multiple_of(SKIPPED_AT_ONCE) && self.stop.is_asked() {
                return Err(self.interrupted());
            }
            self.record.state.jobs += 1;
            let reason = reason(&job).map(|[error]| error.message).or_else(|| no_job(&job));
            if let Some(reason) = reason {
                let wrong = &mut self.record.state.counts.rejected;
                *wrong += 1;
                if *wrong > MAX_TOLD {
                    continue;
                }
                self.show.note(&format!("{} {}: {reason}", self.source.unit(), job.number));
            }
        }
        Ok(())
    }

    fn summary(&self, is_finished: bool) -> Summary {
        let state = &self.record.state;
        let left = u64::from(self.is_unfinished);
        let counts = Counts { rejected: state.counts.rejected + left, ..state.counts };
        let has_file = counts.rejected > 0 && !self.options.dry_run;
        Summary {
            file: self.options.name(),
            dry_run: self.options.dry_run,
            finished: is_finished && !self.is_unfinished,
            jobs: state.jobs + left,
            counts,
            rejected_file: has_file.then(|| self.options.rejected_path().display().to_string()),
            jobs_before: self.record.before.jobs,
            calls: self.calls,
        }
    }
}

fn rejection<'a>(entry: &'a Entry, errors: &'a [FieldError], left_out: u64) -> Rejection<'a> {
    let errors_left_out = (left_out > 0).then_some(left_out);
    Rejection { line: entry.job.number, external_id: entry.id.as_deref(), errors, errors_left_out }
}

/// Why a job cannot be sent, where that is known without the service.
fn reason(job: &Job) -> Option<[FieldError; 1]> {
    let message = match &job.content {
        Content::Whole(_) => return None,
        Content::TooLong { bytes, .. } => {
            format!("has {bytes} bytes; a job has at most {MAX_JOB_BYTES}")
        }
        Content::Unfinished(_) => "the file ends within it".to_owned(),
    };
    Some([FieldError { field: "line".to_owned(), message }])
}

/// What the service would say first of what is no job at all; without any of its text.
fn no_job(job: &Job) -> Option<String> {
    let Content::Whole(text) = &job.content else { return None };
    let error = external_id(text).err()?;
    Some(if error.is_data() {
        "has no external_id that is a text".to_owned()
    } else {
        format!("is no JSON: {error}")
    })
}
