//! Whether a table answers.

use aws_sdk_dynamodb::operation::get_item::GetItemInput;

use super::schema::{BUCKET, ID, JOB_ID, KIND, OWNER, PART, RECORD, SCOPE, SPAN, TASK_ID};
use super::value::s;
use super::{Ledger, StoreError};

/// The key of an item that no table has.
const NO_ITEM: &str = "ping";

/// A table of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Jobs.
    Jobs,
    /// Kept counts.
    Tallies,
    /// Keys and the settings of types.
    Settings,
    /// Background tasks.
    Tasks,
    /// Records.
    Records,
    /// Usage and rate limits of keys.
    Usage,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Jobs, Self::Tallies, Self::Settings, Self::Tasks, Self::Records, Self::Usage];
}

impl Ledger {
    /// Reads an item that is not there, for half a read unit. If the table answers, this succeeds.
    pub async fn ping(&self, table: Table) -> Result<(), StoreError> {
        let tables = &self.config.tables;
        let (name, keys): (_, &[_]) = match table {
            Table::Jobs => (&tables.jobs, &[JOB_ID, PART]),
            Table::Tallies => (&tables.tallies, &[SCOPE, BUCKET]),
            Table::Settings => (&tables.settings, &[KIND, ID]),
            Table::Tasks => (&tables.tasks, &[TASK_ID]),
            Table::Records => (&tables.records, &[RECORD]),
            Table::Usage => (&tables.usage, &[OWNER, SPAN]),
        };
        let plan = GetItemInput::builder().table_name(name);
        let plan = keys.iter().fold(plan, |plan, key| plan.key(*key, s(NO_ITEM)));
        self.store.get(plan).await.map(drop)
    }
}
