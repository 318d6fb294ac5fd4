//! The progress that a person sees on standard error.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar without a count moves.
const TICK: Duration = Duration::from_millis(200);

/// Whether progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A bar on a terminal; elsewhere (in a log), a line at each tenth.
    Shown,
    /// Nothing.
    Hidden,
}

impl Progress {
    /// A bar for this many things.
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

    /// A bar for a task of unknown length.
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

/// Sets the style. If the template cannot be read, the bar keeps its plain style.
fn style_it<E>(bar: &ProgressBar, style: Result<ProgressStyle, E>, what: &str) {
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
}
