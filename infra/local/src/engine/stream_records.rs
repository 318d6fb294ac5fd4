//! The embedded engine's stream records, made fast and kept few.
//!
//! For upstream (dynoxide-rs 3.2.0): every write to a table with a stream asks for
//! `MAX(CAST(sequence_number AS INTEGER)) … WHERE table_name = ?`, and so does `DescribeStream`; `_stream_records` has no
//! index for it, and nothing ever removes a record. So a write costs as much as there are records: 1,410 items a second
//! into an empty table with four indexes, 120 at 25,000 records. With the index below it stays at 1,350 at any size. It
//! belongs into dynoxide's `INIT_SCHEMA`, and a trim of records older than 24 hours beside its TTL sweep.
//!
//! Both are done here over a connection of our own to the same file. SQLite locks by file, within a process as well as
//! between two, and rusqlite is the version that dynoxide links: there is one SQLite in the binary.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::error::{Error, Result};

/// How long this connection waits for the engine's to end a transaction.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// Records removed by one statement: requests wait for no more than this.
const PRUNE_CHUNK: usize = 1000;
/// Most statements of one pruning; the next one goes on.
const PRUNE_CHUNKS_MAX: usize = 1000;
/// Microseconds in a second.
const MICROSECONDS: i64 = 1_000_000;
/// The public form of a sequence number is the stored one plus this, which makes 21 digits of it.
const SEQUENCE_NUMBER_OFFSET: u128 = 100_000_000_000_000_000_000;

/// Makes the index, once.
pub(super) fn index(file: &Path) -> Result<()> {
    let make = || -> rusqlite::Result<()> {
        open(file)?.execute_batch(
            "CREATE INDEX IF NOT EXISTS jobledger_stream_sequence
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER))",
        )
    };
    make().map_err(|source| Error::Engine { doing: "indexing its stream records", source: source.into() })
}

/// The position of all readers of a table's stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Passed {
    /// No function reads it.
    Unread,
    /// All readers are past this sequence number of a shard.
    UpTo {
        /// The shard.
        shard: String,
        /// In its public form.
        sequence: String,
    },
}

/// Removes records that every reader has passed and that are older than `before` (seconds since 1970). It never removes
/// the last one, from which the engine makes the next sequence number. Returns how many it removed.
///
/// A stored sequence number is never below the microseconds of its time. So the scan of the index ends where the
/// records are too young, and a pruning that removes nothing costs nothing.
pub(super) fn prune(file: &Path, table: &str, passed: &Passed, before: i64) -> rusqlite::Result<usize> {
    let (shard, upto) = match passed {
        Passed::Unread => (None, i64::MAX),
        Passed::UpTo { shard, sequence } => match stored(sequence) {
            Some(upto) => (Some(shard), upto),
            // It is not a number of this engine, so it does not tell which records were read.
            None => return Ok(0),
        },
    };
    let upto = upto.min(before.saturating_mul(MICROSECONDS));
    let connection = open(file)?;
    let mut statement = connection.prepare(
        "DELETE FROM _stream_records WHERE id IN (
             SELECT id FROM _stream_records
             WHERE table_name = ?1 AND (?2 IS NULL OR shard_id = ?2)
               AND CAST(sequence_number AS INTEGER) <= ?3
               AND CAST(sequence_number AS INTEGER) <
                   (SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1)
               AND created_at < ?4
             LIMIT ?5)",
    )?;
    let mut removed = 0;
    for _ in 0..PRUNE_CHUNKS_MAX {
        let chunk = statement.execute(params![table, shard, upto, before, PRUNE_CHUNK])?;
        removed += chunk;
        if chunk < PRUNE_CHUNK {
            break;
        }
    }
    Ok(removed)
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(BUSY_MAX)?;
    Ok(connection)
}

fn stored(public: &str) -> Option<i64> {
    let number: u128 = public.parse().ok()?;
    i64::try_from(number.checked_sub(SEQUENCE_NUMBER_OFFSET)?).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::{Connection, params};

    use super::{Passed, index, prune, stored};

    const TABLE: &str = "jobs";

    fn with_records(file: &Path, ages: &[i64]) {
        // The table as dynoxide makes it, so that a change of its shape fails here first.
        drop(dynoxide::Database::new(file.to_str().unwrap()).unwrap());
        let connection = Connection::open(file).unwrap();
        for (number, created) in (1_i64..).zip(ages) {
            connection
                .execute(
                    "INSERT INTO _stream_records
                     (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
                     VALUES (?1, 'INSERT', '{}', ?2, 'shard', ?3)",
                    params![TABLE, number.to_string(), created],
                )
                .unwrap();
        }
    }

    fn left(file: &Path) -> Vec<String> {
        let connection = Connection::open(file).unwrap();
        let mut statement =
            connection.prepare("SELECT sequence_number FROM _stream_records ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn up_to(number: u128) -> Passed {
        Passed::UpTo {
            shard: "shard".to_owned(),
            sequence: (100_000_000_000_000_000_000 + number).to_string(),
        }
    }

    #[test]
    fn only_what_is_old_and_passed_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db");
        with_records(&file, &[10, 20, 30, 40]);
        index(&file).unwrap();
        index(&file).unwrap();
        assert_eq!(prune(&file, TABLE, &up_to(2), 100).unwrap(), 2);
        assert_eq!(prune(&file, TABLE, &up_to(4), 30).unwrap(), 0);
        assert_eq!(left(&file), ["3", "4"]);
    }

    #[test]
    fn the_last_record_stays() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db");
        with_records(&file, &[10, 20]);
        assert_eq!(prune(&file, TABLE, &Passed::Unread, 100).unwrap(), 1);
        assert_eq!(left(&file), ["2"]);
    }

    #[test]
    fn writes_and_reads_use_the_index() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db");
        with_records(&file, &[10]);
        index(&file).unwrap();
        let connection = Connection::open(&file).unwrap();
        let query = "EXPLAIN QUERY PLAN SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = ?1";
        let plan: String = connection.query_row(query, params![TABLE], |row| row.get("detail")).unwrap();
        assert!(plan.contains("jobledger_stream_sequence"), "{plan}");
    }

    #[test]
    fn foreign_sequence_numbers_name_nothing() {
        assert_eq!(stored("100000000000000000007"), Some(7));
        for foreign in ["7", "", "x"] {
            assert_eq!(stored(foreign), None);
        }
    }
}
