//! The begins and ends of attempts, with their processes. The handlers logged them before they reported.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

/// The moment that a handler logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Begun,
    Ended,
}

/// An attempt, by its job and its number.
pub(crate) type Try = (String, u64);

/// Appends a line to the file in one write, so that other processes may write there, too.
pub(crate) fn write_down(file: &Path, moment: Moment, job: &str, attempt: u32) -> std::io::Result<()> {
    let word = match moment {
        Moment::Begun => "begun",
        Moment::Ended => "ended",
    };
    let line = format!("{word} {job} {attempt} {}\n", std::process::id());
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())
}

/// All logged attempts.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    /// The process that began an attempt.
    pub(crate) begun: BTreeMap<Try, String>,
    /// The process that ended it.
    pub(crate) ended: BTreeMap<Try, String>,
}

impl Tries {
    /// Reads the file. Each attempt must have begun once and ended at most once, in the same process.
    pub(crate) fn read(file: &Path) -> Self {
        let mut tries = Self::default();
        for line in std::fs::read_to_string(file).expect("tries").lines() {
            let mut words = line.split(' ').map(str::to_owned);
            let mut word = || words.next().unwrap_or_else(|| panic!("a whole line: {line:?}"));
            let moment = word();
            let (id, process) = ((word(), word().parse().expect("a number")), word());
            let those = match moment.as_str() {
                "begun" => &mut tries.begun,
                "ended" => {
                    assert_eq!(
                        tries.begun.get(&id),
                        Some(&process),
                        "{id:?} was ended by another than began it"
                    );
                    &mut tries.ended
                }
                other => panic!("{other:?} is no moment"),
            };
            let other = those.insert(id.clone(), process);
            assert_eq!(other, None, "{id:?} was {moment} twice");
        }
        tries
    }
}
