//! The progress of an attempt: set by its handler, sent by the pool.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

/// The whole, in hundredths of a percent.
const WHOLE: u16 = 10_000;
/// Longest name of a stage, in characters.
const MAX_STAGE: usize = 200;

/// The last progress that a handler reported. Any number of calls between two reports are one report.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    said: Mutex<Said>,
    pub(crate) changed: Notify,
}

#[derive(Debug, Default)]
struct Said {
    stage: Option<String>,
    stage_hundredths: u16,
    overall_hundredths: Option<u16>,
    /// How often it changed.
    revision: u64,
    /// The revision of the last report that was accepted.
    sent: u64,
}

/// The progress for one report.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) body: Value,
    revision: u64,
}

impl Progress {
    /// Says how far all of it is. Never falls, as the service has it never fall.
    pub(crate) fn overall(&self, percent: f64) {
        let Some(hundredths) = hundredths(percent) else { return };
        self.change(|said| {
            let is_more = said.overall_hundredths.is_none_or(|before| hundredths > before);
            if is_more {
                said.overall_hundredths = Some(hundredths);
            }
            is_more
        });
    }

    /// Says what is being done, and how far that is. Within one stage it never falls.
    pub(crate) fn stage(&self, name: &str, percent: f64) {
        let (Some(name), Some(hundredths)) = (stage_name(name), hundredths(percent)) else { return };
        self.change(|said| {
            let is_new = said.stage.as_ref() != Some(&name);
            if is_new || hundredths > said.stage_hundredths {
                said.stage = Some(name);
                said.stage_hundredths = hundredths;
                return true;
            }
            false
        });
    }

    fn change(&self, change: impl FnOnce(&mut Said) -> bool) {
        let mut said = self.said();
        if change(&mut said) {
            said.revision += 1;
            drop(said);
            self.changed.notify_one();
        }
    }

    /// The progress that no accepted report has told yet.
    pub(crate) fn unsent(&self) -> Option<Snapshot> {
        let said = self.said();
        if said.revision == said.sent {
            return None;
        }
        let mut body = Map::new();
        if let Some(stage) = &said.stage {
            body.insert("current_task".to_owned(), json!(stage));
            body.insert("current_task_progress".to_owned(), number(said.stage_hundredths));
        }
        if let Some(overall) = said.overall_hundredths {
            body.insert("overall_progress".to_owned(), number(overall));
        }
        Some(Snapshot { body: Value::Object(body), revision: said.revision })
    }

    /// Takes note that a report was accepted, or will never be.
    pub(crate) fn settle(&self, snapshot: &Snapshot) {
        let mut said = self.said();
        said.sent = said.sent.max(snapshot.revision);
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As a name that the service takes: a report that it refuses would not renew the lease.
fn stage_name(name: &str) -> Option<String> {
    let shown: String = name.chars().filter(|c| !c.is_control()).collect();
    let cut: String = shown.trim().chars().take(MAX_STAGE).collect();
    let name = cut.trim_end();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Read off the two places that it is written with: nothing is computed with a float. `None`: not a number.
fn hundredths(percent: f64) -> Option<u16> {
    let places = format!("{:.2}", percent.clamp(0.0, 100.0));
    let digits: String = places.chars().filter(|c| *c != '.').collect();
    digits.trim_start_matches('-').parse().ok().filter(|hundredths| *hundredths <= WHOLE)
}

fn number(hundredths: u16) -> Value {
    if hundredths.is_multiple_of(100) {
        return json!(hundredths / 100);
    }
    let places = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    places.parse::<f64>().map_or(Value::Null, |number| json!(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_hundredths_within_the_whole() {
        for (percent, expected) in [
            (0.0, 0),
            (-0.001, 0),
            (-3.0, 0),
            (33.333, 3_333),
            (99.999, 10_000),
            (400.0, 10_000),
            (f64::INFINITY, 10_000),
        ] {
            assert_eq!(hundredths(percent), Some(expected), "{percent}");
        }
        assert_eq!(hundredths(f64::NAN), None);
        assert_eq!((number(4_000), number(3_333), number(5)), (json!(40), json!(33.33), json!(0.05)));
    }

    #[test]
    fn it_never_falls_and_is_sent_once() {
        let progress = Progress::default();
        assert!(progress.unsent().is_none());
        progress.overall(40.0);
        progress.overall(20.0);
        progress.stage("decode", 50.0);
        progress.stage("decode", 10.0);
        let first = progress.unsent().unwrap();
        assert_eq!(
            first.body,
            json!({ "current_task": "decode", "current_task_progress": 50, "overall_progress": 40 })
        );
        progress.stage("encode", 0.0);
        progress.settle(&first);
        let second = progress.unsent().unwrap();
        assert_eq!(second.body["current_task"], "encode", "what came while a report was under way is left");
        progress.settle(&second);
        progress.overall(39.0);
        assert!(progress.unsent().is_none());
    }

    #[test]
    fn names_of_stages_are_made_to_fit() {
        assert_eq!(stage_name(" a\n\tb "), Some("ab".to_owned()));
        assert_eq!(stage_name("\n "), None);
        assert_eq!(stage_name(&"ä".repeat(300)).unwrap().chars().count(), 200);
    }
}
