//! How jobs of a type are worked on, as their owner decided.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Invalid, Percent, TaskName};

/// Most jobs of a type that may be asked to run at once.
pub const MAX_CONCURRENCY: i64 = 10_000;
/// Longest wait before a second try, and before any later one, in seconds: an hour.
pub const MAX_BACKOFF_SECONDS: i64 = 3_600;
/// Most stages of a type.
pub const MAX_STAGES: usize = 50;
/// Greatest weight of a stage.
pub const MAX_STAGE_WEIGHT: i64 = 1_000_000;

/// The wait before a second try where nobody decided it, in seconds.
const DEFAULT_BACKOFF_SECONDS: u32 = 10;
/// [`MAX_BACKOFF_SECONDS`], as it is computed with.
const MAX_BACKOFF_MS: u64 = 3_600_000;

/// The settings of a type. The default is that of a type of which nobody decided anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSettings {
    /// How many of its jobs may run at once, 1 to [`MAX_CONCURRENCY`]; `None`: any number.
    pub max_concurrency: Option<u32>,
    /// How long a try may take in seconds where its job does not say; `None`: any time.
    pub timeout_seconds: Option<u32>,
    /// How many tries a job has that does not say; `None`: one.
    pub max_attempts: Option<u32>,
    /// The wait before the second try in seconds; doubles with each.
    pub backoff_seconds: u32,
    /// The stages that each of its jobs goes through.
    pub stages: Stages,
    /// The event that creating a job waits for.
    pub mode: Mode,
}

impl Default for TypeSettings {
    fn default() -> Self {
        Self {
            max_concurrency: None,
            timeout_seconds: None,
            max_attempts: None,
            backoff_seconds: DEFAULT_BACKOFF_SECONDS,
            stages: Stages::default(),
            mode: Mode::default(),
        }
    }
}

/// A change of a type's settings. A field that is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// How many jobs may run at once.
    pub max_concurrency: Option<Option<u32>>,
    /// How long a try may take.
    pub timeout_seconds: Option<Option<u32>>,
    /// How many tries a job has.
    pub max_attempts: Option<Option<u32>>,
    /// The wait before the second try.
    pub backoff_seconds: Option<u32>,
    /// The stages.
    pub stages: Option<Stages>,
    /// The event that creating a job waits for.
    pub mode: Option<Mode>,
}

impl From<TypeSettings> for SettingsChange {
    /// The change that leaves nothing as it was.
    fn from(settings: TypeSettings) -> Self {
        let TypeSettings { max_concurrency, timeout_seconds, max_attempts, backoff_seconds, stages, mode } =
            settings;
        Self {
            max_concurrency: Some(max_concurrency),
            timeout_seconds: Some(timeout_seconds),
            max_attempts: Some(max_attempts),
            backoff_seconds: Some(backoff_seconds),
            stages: Some(stages),
            mode: Some(mode),
        }
    }
}

/// The event that the answer to the creation of a job waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: the job is queued.
    #[default]
    Queued,
    /// The job's end, for a moment.
    Immediate,
}

impl Mode {
    /// The word that is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Immediate => "immediate",
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = Invalid;

    fn try_from(word: String) -> Result<Self, Invalid> {
        let found = [Self::Queued, Self::Immediate].into_iter().find(|mode| mode.as_str() == word);
        found.ok_or_else(|| Invalid::new("must be queued or immediate"))
    }
}

/// A part of the work on a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// Its name, as `current_task` has it.
    pub name: TaskName,
    /// How much of the whole it is, as compared with the others: 1 to [`MAX_STAGE_WEIGHT`].
    pub weight: u32,
}

/// The stages of a type in their order, at most [`MAX_STAGES`], each with a name of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stages(Vec<Stage>);

impl Stages {
    /// All of them.
    pub fn as_slice(&self) -> &[Stage] {
        &self.0
    }
}

impl TryFrom<Vec<Stage>> for Stages {
    type Error = Invalid;

    fn try_from(stages: Vec<Stage>) -> Result<Self, Invalid> {
        let names: BTreeSet<_> = stages.iter().map(|stage| &stage.name).collect();
        if stages.len() > MAX_STAGES {
            return Err(Invalid(format!("must be at most {MAX_STAGES} stages")));
        }
        if names.len() < stages.len() {
            return Err(Invalid::new("must have another name for each stage"));
        }
        Ok(Self(stages))
    }
}

impl TypeSettings {
    /// The settings after a change.
    #[must_use]
    pub fn after(self, change: SettingsChange) -> Self {
        let SettingsChange { max_concurrency, timeout_seconds, max_attempts, backoff_seconds, stages, mode } =
            change;
        Self {
            max_concurrency: max_concurrency.unwrap_or(self.max_concurrency),
            timeout_seconds: timeout_seconds.unwrap_or(self.timeout_seconds),
            max_attempts: max_attempts.unwrap_or(self.max_attempts),
            backoff_seconds: backoff_seconds.unwrap_or(self.backoff_seconds),
            stages: stages.unwrap_or(self.stages),
            mode: mode.unwrap_or(self.mode),
        }
    }

    /// How far a job is that has come so far in a stage: all stages before it are done. `None`: no stage has this name.
    pub fn overall(&self, current_task: &TaskName, current_task_progress: Percent) -> Option<Percent> {
        let stages = self.stages.as_slice();
        let at = stages.iter().position(|stage| stage.name == *current_task)?;
        let weight = |stages: &[Stage]| stages.iter().map(|stage| u64::from(stage.weight)).sum::<u64>();
        let whole = u64::from(Percent::FULL.hundredths());
        let (done, current) = (stages.get(..at)?, u64::from(stages.get(at)?.weight));
        let done = weight(done) * whole + current * u64::from(current_task_progress.hundredths());
        let hundredths = done.checked_div(weight(stages))?;
        Percent::try_from(u16::try_from(hundredths).ok()?).ok()
    }

    /// How long a job waits after a failure before it is due again, in milliseconds, if so many tries failed before. The
    /// wait doubles with each failure, up to an hour. It lies between half of that and all of it, as `chance` has it, so
    /// that jobs that failed together do not come back together.
    pub fn backoff_ms(&self, failures: u32, chance: u64) -> u64 {
        let doublings = 2_u64.saturating_pow(failures);
        let first_ms = u64::from(self.backoff_seconds) * 1_000;
        let most = first_ms.saturating_mul(doublings).min(MAX_BACKOFF_MS);
        let least = most.div_ceil(2);
        least + chance % (most - least + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(name: &str) -> TaskName {
        TaskName::try_from(name).unwrap()
    }

    fn staged(weights: &[u32]) -> TypeSettings {
        let stages: Vec<_> = (0..)
            .zip(weights)
            .map(|(number, weight)| Stage { name: task(&format!("s{number}")), weight: *weight })
            .collect();
        TypeSettings { stages: Stages::try_from(stages).unwrap(), ..TypeSettings::default() }
    }

    #[track_caller]
    fn overall(weights: &[u32], stage: &str, hundredths: u16, expect: Option<u16>) {
        let found = staged(weights).overall(&task(stage), Percent::try_from(hundredths).unwrap());
        assert_eq!(found.map(Percent::hundredths), expect, "{weights:?} {stage} {hundredths}");
    }

    #[test]
    fn stages_weigh_what_they_weigh() {
        overall(&[1, 3], "s0", 0, Some(0));
        overall(&[1, 3], "s0", 10_000, Some(2_500));
        overall(&[1, 3], "s1", 0, Some(2_500));
        overall(&[1, 3], "s1", 5_000, Some(6_250));
        overall(&[1, 3], "s1", 10_000, Some(10_000));
        overall(&[1, 1, 1], "s1", 0, Some(3_333));
        overall(&[1_000_000; 50], "s49", 10_000, Some(10_000));
        overall(&[1, 3], "s2", 5_000, None);
        overall(&[], "s0", 5_000, None);
    }

    #[test]
    fn stages_are_few_and_differ() {
        let stage = |number: usize| Stage { name: task(&number.to_string()), weight: 1 };
        assert!(Stages::try_from((0..MAX_STAGES).map(stage).collect::<Vec<_>>()).is_ok());
        assert!(Stages::try_from((0..=MAX_STAGES).map(stage).collect::<Vec<_>>()).is_err());
        assert!(Stages::try_from(vec![stage(1), stage(2), stage(1)]).is_err());
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let wait = |backoff_seconds, failures, chance| {
            TypeSettings { backoff_seconds, ..TypeSettings::default() }.backoff_ms(failures, chance)
        };
        assert_eq!([wait(10, 0, 0), wait(10, 0, 5_000), wait(10, 0, 5_001)], [5_000, 10_000, 5_000]);
        assert_eq!([wait(10, 1, 0), wait(10, 2, 0), wait(10, 3, 0)], [10_000, 20_000, 40_000]);
        assert_eq!([wait(10, 9, 0), wait(3_600, 0, 0), wait(1, u32::MAX, 0)], [1_800_000; 3]);
        assert_eq!([wait(0, 0, 7), wait(0, u32::MAX, u64::MAX)], [0; 2]);
    }

    proptest! {
        #[test]
        fn a_wait_is_between_half_and_whole(
            backoff_seconds in any::<u32>(), failures in any::<u32>(), chance in any::<u64>(),
        ) {
            let settings = TypeSettings { backoff_seconds, ..TypeSettings::default() };
            let most = (0..failures.min(63)).fold(u128::from(backoff_seconds) * 1_000, |wait, _| wait * 2);
            let most = most.min(u128::from(MAX_BACKOFF_MS));
            let wait = u128::from(settings.backoff_ms(failures, chance));
            prop_assert!(wait * 2 >= most && wait <= most, "{} of {}", wait, most);
        }

        /// In any order of steps through the stages, a job's progress never falls, and it ends at the whole.
        #[test]
        fn progress_through_stages_only_grows(
            weights in proptest::collection::vec(1..=1_000_000_u32, 1..=50),
            mut steps in proptest::collection::vec((0..50_usize, 0..=10_000_u16), 0..40),
        ) {
            let settings = staged(&weights);
            let last = weights.len() - 1;
            for (stage, _) in &mut steps {
                *stage %= weights.len();
            }
            steps.sort_unstable();
            let mut before = Percent::default();
            for (stage, hundredths) in steps.into_iter().chain([(last, 10_000)]) {
                let share = Percent::try_from(hundredths).unwrap();
                let now = settings.overall(&task(&format!("s{stage}")), share).unwrap();
                prop_assert!(now >= before);
                before = now;
            }
            prop_assert_eq!(before, Percent::FULL);
        }
    }
}
