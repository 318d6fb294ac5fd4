//! What is seen while it runs, on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar moves that has nothing to count.
const TICK: Duration = Duration::from_millis(200);

/// Whether anything is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A bar on a terminal; elsewhere (in a log), a line at each tenth.
    Shown,
    /// Nothing.
    Hidden,
}

impl Progress {
    /// A bar for so many, of something.
    pub(crate) fn bar(self, many: u64, what: &str) -> ProgressBar {
        let bar = match self {
            Self::Shown => ProgressBar::new(many),
            Self::Hidden => ProgressBar::hidden(),
        };
        let style =
            ProgressStyle::with_template("{msg} [{bar:40}] {human_pos}/{human_len}, {per_sec}, {eta} left");
        style_it(&bar, style.map(|style| style.progress_chars("=> ")), what);
        bar
    }

    /// Something that takes an unknown time.
    pub(crate) fn spinner(self, what: &str) -> ProgressBar {
        let bar = match self {
            Self::Shown => ProgressBar::new_spinner(),
            Self::Hidden => ProgressBar::hidden(),
        };
        style_it(&bar, ProgressStyle::with_template("{msg} {spinner} {elapsed}"), what);
        bar.enable_steady_tick(TICK);
        self.say(&bar, what);
        bar
    }

    /// A line above the bar.
    pub(crate) fn say(self, bar: &ProgressBar, line: &str) {
        match self {
            Self::Shown if bar.is_hidden() => eprintln!("{line}"),
            Self::Shown => bar.println(line),
            Self::Hidden => {}
        }
    }
}

/// A template that cannot be read leaves the bar in its plain style.
fn style_it<E>(bar: &ProgressBar, style: Result<ProgressStyle, E>, what: &str) {
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
}
