//! Tumbling windows: consecutive spans of time, by the time at which records were written.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most state that one invocation may pass to the next. With more, Lambda ends the window early.
pub(super) const STATE_MAX_BYTES: usize = 1024 * 1024;

/// The length of windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tumbling {
    seconds: i64,
}

/// A window that has records.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct OpenWindow {
    /// In seconds since 1970.
    pub(super) start: i64,
    /// In seconds since 1970; the window ends just before.
    pub(super) end: i64,
    /// The state that the last invocation returned.
    pub(super) state: Map<String, Value>,
}

impl Tumbling {
    pub(super) fn new(length: Duration) -> Self {
        Self { seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1) }
    }

    /// The window of a record written at this second, with no state yet.
    pub(super) fn at(self, second: i64) -> OpenWindow {
        let start = second - second.rem_euclid(self.seconds);
        OpenWindow { start, end: start.saturating_add(self.seconds), state: Map::new() }
    }
}

impl OpenWindow {
    /// Whether a record of this second belongs to this window. A late record does, because its own window is closed.
    pub(super) fn takes(&self, second: i64) -> bool {
        second < self.end
    }

    /// Whether the state is larger than Lambda allows.
    pub(super) fn is_too_full(&self) -> bool {
        serde_json::to_string(&self.state).is_ok_and(|text| text.len() > STATE_MAX_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tumbling;

    #[test]
    fn windows_follow_each_other_without_a_gap() {
        let tumbling = Tumbling::new(Duration::from_mins(1));
        let window = tumbling.at(1_768_107_659);
        assert_eq!((window.start, window.end), (1_768_107_600, 1_768_107_660));
        assert!(window.takes(1_768_107_659));
        assert!(!window.takes(1_768_107_660));
        assert_eq!(tumbling.at(window.end).start, window.end);
    }

    #[test]
    fn a_late_record_comes_into_the_open_window() {
        assert!(Tumbling::new(Duration::from_mins(1)).at(120).takes(7));
    }

    #[test]
    fn state_over_a_mebibyte_is_too_full() {
        let mut window = Tumbling::new(Duration::from_mins(1)).at(0);
        assert!(!window.is_too_full());
        window.state.insert("x".to_owned(), "x".repeat(super::STATE_MAX_BYTES).into());
        assert!(window.is_too_full());
    }
}
