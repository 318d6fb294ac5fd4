//! The key that a stack on one's own machine starts with. Only this crate knows it: nothing that is deployed does.

use std::fmt::Write as _;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::template::Template;

/// The key's text.
pub const LOCAL_KEY: &str = "local-dev-key";
/// The owner it belongs to.
pub const LOCAL_OWNER: &str = "default";
/// The logical id of the table for keys.
const SETTINGS: &str = "SettingsTable";

/// Writes the key down, where the template has a table for keys.
pub(crate) async fn put(client: &Client, template: &Template) -> Result<()> {
    let Some(table) = template.tables.iter().find(|table| table.id == SETTINGS) else {
        return Ok(());
    };
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let put = client
        .put_item()
        .table_name(&table.name)
        .item("kind", text("keys"))
        .item("id", text(&hash(LOCAL_KEY)))
        .item("owner", text(LOCAL_OWNER))
        .item("scopes", AttributeValue::Ss(vec!["admin".to_owned()]))
        .item("key_id", text(LOCAL_KEY));
    match put.send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::DynamoDb { doing: "writing the local key".to_owned(), source: error.into() })
        }
    }
}

/// Keys are kept as the SHA-256 of their text, in lower-case hexadecimal.
fn hash(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hash_is_what_sha256sum_prints() {
        assert_eq!(super::hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
