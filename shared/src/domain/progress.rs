//! How far a job is, as the program that works on it says.

use std::fmt;

use serde::{Serialize, Serializer};

use super::decimal::{Half, nearest};
use super::{Invalid, TaskName, TypeSettings};

/// The whole, in hundredths of a percent.
const WHOLE: u16 = 10_000;
/// Places that are kept.
const PLACES: u32 = 2;

/// A share of the whole: 0 to 100, kept in whole hundredths; written as a JSON number, such as `40` or `33.33`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(u16);

impl Percent {
    /// All of it.
    pub const FULL: Self = Self(WHOLE);

    /// The share in hundredths of a percent, 0 to 10,000.
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Percent {
    type Error = Invalid;

    /// Of hundredths of a percent.
    fn try_from(hundredths: u16) -> Result<Self, Invalid> {
        if hundredths <= WHOLE { Ok(Self(hundredths)) } else { Err(out_of_range()) }
    }
}

impl TryFrom<&str> for Percent {
    type Error = Invalid;

    /// Of a JSON number as it was written. Digits past the second place are rounded; if the result is within 0 to 100,
    /// it fits.
    fn try_from(number: &str) -> Result<Self, Invalid> {
        let hundredths =
            nearest(number, PLACES, Half::Up).and_then(|hundredths| u16::try_from(hundredths).ok());
        Self::try_from(hundredths.ok_or_else(out_of_range)?)
    }
}

fn out_of_range() -> Invalid {
    Invalid::new("must be a number from 0 to 100")
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole}"),
            (whole, places) if places % 10 == 0 => write!(f, "{whole}.{}", places / 10),
            (whole, places) => write!(f, "{whole}.{places:02}"),
        }
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            return serializer.serialize_u16(self.0 / 100);
        }
        // Two places come out of a float as they went in: nothing is computed with it.
        let float: f64 = self.to_string().parse().map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(float)
    }
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The current task.
    pub current_task: Option<TaskName>,
    /// How far that is.
    pub current_task_progress: Option<Percent>,
    /// How far all of it is.
    pub overall_progress: Percent,
}

impl Progress {
    /// That of a job that is done.
    pub const DONE: Self =
        Self { current_task: None, current_task_progress: None, overall_progress: Percent::FULL };

    /// The progress after a report: a field that the report leaves out stays, and the overall progress never falls.
    #[must_use]
    pub fn after(self, said: ReportedProgress) -> Self {
        let ReportedProgress { current_task, current_task_progress, overall_progress } = said;
        let overall_progress = overall_progress.unwrap_or_default().max(self.overall_progress);
        match current_task {
            Some(_) => Self { current_task, current_task_progress, overall_progress },
            None => Self { overall_progress, ..self },
        }
    }
}

/// How far a report says that a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedProgress {
    /// The current task.
    pub current_task: Option<TaskName>,
    /// How far that is; `None`: nobody knows.
    pub current_task_progress: Option<Percent>,
    /// How far all of it is; `None`: as far as before.
    pub overall_progress: Option<Percent>,
}

impl ReportedProgress {
    /// Whether only the stages of the job's type can tell how far all of it is.
    pub const fn needs_stages(&self) -> bool {
        self.overall_progress.is_none() && self.current_task.is_some()
    }

    /// The same, and how far all of it is: as was said, else by the weights of the type's stages.
    #[must_use]
    pub fn by_stages(mut self, settings: &TypeSettings) -> Self {
        if let (None, Some(task)) = (self.overall_progress, &self.current_task) {
            let share = self.current_task_progress.unwrap_or_default();
            self.overall_progress = settings.overall(task, share);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Stage, Stages};

    #[track_caller]
    fn check(number: &str, expect: Option<u16>) {
        assert_eq!(Percent::try_from(number).ok().map(Percent::hundredths), expect, "{number}");
    }

    #[test]
    fn numbers_are_rounded_to_hundredths_by_their_text() {
        for (number, expect) in [
            ("0", 0),
            ("40", 4_000),
            ("40.0", 4_000),
            ("33.33", 3_333),
            ("33.3333", 3_333),
            ("66.666666666666666666666666", 6_667),
            ("0.5", 50),
            ("0.005", 1),
            ("0.004999999999999999999999", 0),
            ("0.05", 5),
            ("99.995", 10_000),
            ("100", 10_000),
            ("100.00", 10_000),
            ("100.00000000000001", 10_000),
            ("1e2", 10_000),
            ("4.2E+1", 4_200),
            ("5e-1", 50),
            ("5e-3", 1),
            ("5e-4", 0),
            ("1e-2147483648", 0),
            ("0e2147483647", 0),
            ("-0", 0),
            ("-0.0", 0),
        ] {
            check(number, Some(expect));
        }
    }

    #[test]
    fn what_is_outside_or_no_number_is_refused() {
        for bad in [
            "100.01",
            "101",
            "-1",
            "-0.01",
            "1e3",
            "655.36",
            "65636",
            "1e2147483647",
            "1e99999999999",
            "",
            "-",
            ".5",
            "5.",
            "1e",
            "e1",
            "--1",
            "+1",
            " 1",
            "1,5",
            "NaN",
            "Infinity",
            "\"40\"",
            "true",
            "[]",
        ] {
            check(bad, None);
        }
        assert!(Percent::try_from(10_001).is_err());
    }

    #[test]
    fn a_share_is_written_as_a_json_number() {
        for (hundredths, expect) in
            [(0, "0"), (4_000, "40"), (3_333, "33.33"), (3_330, "33.3"), (5, "0.05"), (10_000, "100")]
        {
            let percent = Percent::try_from(hundredths).unwrap();
            assert_eq!(serde_json::to_string(&percent).unwrap(), expect);
        }
    }

    #[test]
    fn a_report_adds_to_what_was_said_before() {
        let share = |hundredths| Percent::try_from(hundredths).unwrap();
        let task = |name: &str| Some(TaskName::try_from(name).unwrap());
        let before = Progress {
            current_task: task("fetch"),
            current_task_progress: Some(share(50)),
            overall_progress: share(40),
        };
        let said = ReportedProgress::default;
        assert_eq!(before.clone().after(said()), before);
        let less = ReportedProgress { overall_progress: Some(share(39)), ..said() };
        assert_eq!(before.clone().after(less), before);
        let more = ReportedProgress { overall_progress: Some(share(41)), ..said() };
        assert_eq!(before.clone().after(more), Progress { overall_progress: share(41), ..before.clone() });
        let next = ReportedProgress { current_task: task("render"), ..said() };
        let after = Progress { current_task: task("render"), current_task_progress: None, ..before.clone() };
        assert_eq!(before.after(next), after);
    }

    #[test]
    fn the_stages_tell_what_was_not_said() {
        let share = |hundredths| Some(Percent::try_from(hundredths).unwrap());
        let task = |name: &str| TaskName::try_from(name).unwrap();
        let stage = |name, weight| Stage { name: task(name), weight };
        let stages = Stages::try_from(vec![stage("fetch", 1), stage("render", 3)]).unwrap();
        let settings = TypeSettings { stages, ..TypeSettings::default() };
        for (name, current, overall, needs_stages, expect) in [
            (Some("render"), share(5_000), None, true, share(6_250)),
            (Some("render"), None, None, true, share(2_500)),
            (Some("render"), share(5_000), share(1), false, share(1)),
            (Some("upload"), share(5_000), None, true, None),
            (None, None, share(1), false, share(1)),
            (None, None, None, false, None),
        ] {
            let said = ReportedProgress {
                current_task: name.map(task),
                current_task_progress: current,
                overall_progress: overall,
            };
            assert_eq!(said.needs_stages(), needs_stages, "{said:?}");
            let expect = ReportedProgress { overall_progress: expect, ..said.clone() };
            assert_eq!(said.by_stages(&settings), expect);
        }
    }

    proptest! {
        #[test]
        fn every_share_comes_back_as_it_went(hundredths in 0..=WHOLE) {
            let percent = Percent::try_from(hundredths).unwrap();
            let written = serde_json::to_string(&percent).unwrap();
            prop_assert_eq!(Percent::try_from(written.as_str()), Ok(percent));
            prop_assert_eq!(written, percent.to_string());
        }

        /// Any number is read as its double says, or refused.
        #[test]
        #[expect(clippy::float_arithmetic, reason = "held against the double that the number also is")]
        fn any_number_is_read_as_it_says(number in "-?(0|[1-9][0-9]{0,2})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?") {
            let exact: f64 = number.parse().unwrap();
            match Percent::try_from(number.as_str()) {
                Ok(percent) => {
                    let read: f64 = percent.to_string().parse().unwrap();
                    prop_assert!((read.max(exact) - read.min(exact)) < 0.005_000_1, "{} {}", read, exact);
                }
                Err(_) => prop_assert!(!(0.0..=100.0).contains(&exact), "{}", exact),
            }
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,30}") {
            drop(Percent::try_from(text.as_str()));
        }
    }
}
