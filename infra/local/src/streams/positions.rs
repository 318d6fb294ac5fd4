//! The position of a function in a stream, kept between runs.
//!
//! Each delivered batch writes it beside the file and then over it, so that a crash leaves the old or the new file. The
//! write is not forced to the disk. If a power cut loses a batch's position, that batch is delivered again, which every
//! consumer must expect anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::window::OpenWindow;

/// One function's positions in one stream.
#[derive(Debug)]
pub(super) struct Positions {
    file: PathBuf,
    saved: Mutex<Saved>,
}

#[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
struct Saved {
    /// A position is valid only in its stream: a table that was created again has a new stream.
    stream: String,
    shards: BTreeMap<String, Position>,
}

/// A position in one shard.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(super) enum Position {
    /// Everything up to a record is delivered.
    Reading {
        /// The record's sequence number.
        after: String,
        /// The window that is open there.
        #[serde(skip_serializing_if = "Option::is_none")]
        window: Option<OpenWindow>,
    },
    /// The shard has ended, and all of it is delivered.
    Finished,
}

impl Positions {
    /// Reads the file. If it is missing, broken or belongs to another stream, the positions start anew.
    pub(super) fn load(file: PathBuf, stream: &str) -> Self {
        let anew = || Saved { stream: stream.to_owned(), shards: BTreeMap::new() };
        let saved = match read(&file) {
            Ok(Some(saved)) if saved.stream == stream => saved,
            Ok(_) => anew(),
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "positions are unreadable: the stream is read anew");
                anew()
            }
        };
        Self { file, saved: Mutex::new(saved) }
    }

    pub(super) fn get(&self, shard: &str) -> Option<Position> {
        self.lock().shards.get(shard).cloned()
    }

    /// Keeps a position. If the disk is full, the batch is delivered again after the next start; it does not fail now.
    pub(super) fn set(&self, shard: &str, position: Position) {
        let mut saved = self.lock();
        if saved.shards.get(shard) == Some(&position) {
            return;
        }
        saved.shards.insert(shard.to_owned(), position);
        if let Err(error) = write(&self.file, &saved) {
            tracing::warn!(file = %self.file.display(), %error, "a position could not be kept");
        }
    }

    /// Forgets shards that the stream has forgotten.
    pub(super) fn retain(&self, shards: &BTreeSet<&str>) {
        self.lock().shards.retain(|shard, _| shards.contains(shard.as_str()));
    }

    /// The last delivered sequence number of each shard that is being read.
    pub(super) fn sequences(&self) -> BTreeMap<String, u128> {
        let saved = self.lock();
        let sequence = |position: &Position| match position {
            Position::Reading { after, .. } => after.parse().ok(),
            Position::Finished => Some(u128::MAX),
        };
        saved
            .shards
            .iter()
            .filter_map(|(shard, position)| Some((shard.clone(), sequence(position)?)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &Path) -> io::Result<Option<Saved>> {
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(file: &Path, saved: &Saved) -> io::Result<()> {
    let beside = file.with_extension("tmp");
    fs::write(&beside, serde_json::to_vec(saved)?)?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::{Position, Positions};

    fn reading(after: &str) -> Position {
        Position::Reading { after: after.to_owned(), window: None }
    }

    #[test]
    fn positions_outlive_the_process_and_nothing_is_left_beside_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("count.json");
        let positions = Positions::load(file.clone(), "stream");
        assert_eq!(positions.get("a"), None);
        positions.set("a", reading("7"));
        positions.set("a", reading("8"));
        positions.set("b", Position::Finished);

        let again = Positions::load(file, "stream");
        assert_eq!(again.get("a"), Some(reading("8")));
        assert_eq!(again.get("b"), Some(Position::Finished));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn another_stream_and_a_broken_file_start_anew() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("count.json");
        Positions::load(file.clone(), "stream").set("a", reading("7"));
        assert_eq!(Positions::load(file.clone(), "other").get("a"), None);
        std::fs::write(&file, "{\"stream\":").unwrap();
        assert_eq!(Positions::load(file, "stream").get("a"), None);
    }
}
