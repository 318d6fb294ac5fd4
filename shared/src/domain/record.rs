//! Records: the products of jobs that are counted.

use super::{JobId, Owner, RecordId, RecordKind, RecordStatus, Timestamp};

/// Something that is there and is counted by its kind and status: a source, an extraction, an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub owner: Owner,
    /// Its kind.
    pub kind: RecordKind,
    /// Which one.
    pub id: RecordId,
    /// How it stands, where that is told.
    pub status: Option<RecordStatus>,
    /// The job that it came from, as its caller says: nobody looks whether there is one.
    pub job_id: Option<JobId>,
    /// When it was first put.
    pub created_at: Timestamp,
    /// When it was last put.
    pub updated_at: Timestamp,
}
