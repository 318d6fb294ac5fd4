//! DynamoDB, as these tests use it.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};

use crate::functions::thing;

pub(crate) fn client(endpoint: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

pub(crate) async fn put(client: &Client, table: &str, id: &str) -> Result<(), jobledger::Error> {
    client.put_item().table_name(table).set_item(Some(thing(id).into())).send().await?;
    Ok(())
}
