//! The display while the command runs, on standard error.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::clock;

/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// How often the bar is drawn during a call.
const TICK: Duration = Duration::from_millis(250);

/// A bar on a terminal; elsewhere (in a log), a line every few seconds; or nothing.
pub(crate) enum Display {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

/// The progress of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Bytes of the file that were read.
    pub(crate) read: u64,
    /// And that it has, where that is known.
    pub(crate) size: Option<u64>,
    /// Jobs that were confirmed, in all runs.
    pub(crate) jobs: u64,
    /// Of which in this run.
    pub(crate) in_this_run: u64,
    pub(crate) rejected: u64,
    pub(crate) superseded: u64,
    pub(crate) since: Instant,
}

impl Display {
    pub(crate) fn new(is_quiet: bool, size: Option<u64>) -> Self {
        if is_quiet {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { last: clock::now() };
        }
        let (bar, template) = match size {
            Some(size) => (
                ProgressBar::new(size),
                "[{bar:30}] {bytes} of {total_bytes}, {msg}, {elapsed} gone, {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {msg}, {elapsed} gone"),
        };
        // A template that cannot be read leaves the bar in its plain style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("0 jobs");
        bar.enable_steady_tick(TICK);
        Self::Bar(bar)
    }

    /// A line of its own, at once.
    pub(crate) fn note(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.println(line),
            Self::Lines { .. } => eprintln!("{line}"),
            Self::Nothing => {}
        }
    }

    /// Begins to measure here: the bytes passed over say nothing about how fast jobs go in.
    pub(crate) fn begin(&self, read: u64) {
        if let Self::Bar(bar) = self {
            bar.set_position(read);
            bar.reset_eta();
        }
    }

    pub(crate) fn at(&mut self, progress: Progress) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(told(progress));
                bar.set_position(progress.read);
            }
            Self::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = clock::now();
                let part = progress.size.filter(|size| *size > 0);
                let part = part.map(|size| format!(", {} % of the file", percent(progress.read, size)));
                eprintln!("{}{}", told(progress), part.unwrap_or_default());
            }
            Self::Lines { .. } | Self::Nothing => {}
        }
    }

    /// Takes the bar away: the lines that follow tell the end.
    pub(crate) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn percent(read: u64, size: u64) -> u64 {
    u64::try_from(u128::from(read) * 100 / u128::from(size)).map_or(100, |percent| percent.min(100))
}

fn told(progress: Progress) -> String {
    let millis = progress.since.elapsed().as_millis().max(1);
    let per_second = u64::try_from(u128::from(progress.in_this_run) * 1_000 / millis).unwrap_or(u64::MAX);
    let mut told = format!(
        "{} jobs, {} a second, {} rejected",
        HumanCount(progress.jobs),
        HumanCount(per_second),
        HumanCount(progress.rejected)
    );
    if progress.superseded > 0 {
        // Writing to a string cannot fail.
        let _ = write!(told, ", {} superseded", HumanCount(progress.superseded));
    }
    told
}
