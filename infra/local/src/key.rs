//! The key with which a local stack starts. Only this crate knows it: nothing that is deployed does.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use jobledger::access::{StoredKey, put_key};
use jobledger::domain::{AccessKey, KeyHash, Owner, Scope};
use jobledger::lambda::system_clock;
use jobledger::store::Tables;

use crate::error::{Error, Result};
use crate::template::Template;

/// The key's text.
pub const LOCAL_KEY: &str = "local-dev-key";
/// The owner of the key.
pub const LOCAL_OWNER: &str = "default";
/// The logical id of the table for keys.
const SETTINGS: &str = "SettingsTable";

/// Stores the key, if the template has a table for keys and the key is not there yet.
pub(crate) async fn put(client: &Client, template: &Template) -> Result<()> {
    let Some(table) = template.tables.iter().find(|table| table.id == SETTINGS) else {
        return Ok(());
    };
    let failed = |source| Error::DynamoDb { doing: "writing the local key".to_owned(), source };
    let hash = KeyHash::of(LOCAL_KEY);
    let access = AccessKey {
        key_id: hash.key_id(),
        owner: Owner::try_from(LOCAL_OWNER).map_err(|invalid| failed(invalid.into()))?,
        scopes: BTreeSet::from([Scope::Admin]),
        expires_at: None,
        rate_limit: None,
        storage_quota_bytes: None,
        max_types: None,
    };
    let tables = Tables { settings: table.name.clone(), ..Tables::default() };
    let plan = put_key(&tables, &StoredKey::new(access, &hash, None, None, system_clock()));
    match plan.send_with(client).await {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(failed(error.into())),
    }
}
