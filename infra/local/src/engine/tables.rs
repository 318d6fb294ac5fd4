//! Tables of the template: missing ones are created, existing ones are compared.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types as sdk;
use aws_sdk_dynamodb::types::{KeyType, TableStatus};

use crate::error::{Error, Result, dynamo_db};
use crate::template::{Index, Projection, Table};

/// How often the state of a new table is read.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// How often at most: half a minute.
const POLLS_MAX: u32 = 600;

/// Makes a table, or finds it as it should be. Answers its stream's ARN, if it has a stream.
pub(crate) async fn create(client: &Client, table: &Table) -> Result<Option<String>> {
    if describe(client, table).await?.is_none() {
        request(client, table).await?;
    }
    let found = ready(client, table).await?;
    if let Some(difference) = difference(table, &found) {
        return Err(Error::OtherTable { table: table.name.clone(), difference });
    }
    expire(client, table).await?;
    Ok(found.latest_stream_arn)
}

async fn describe(client: &Client, table: &Table) -> Result<Option<sdk::TableDescription>> {
    match client.describe_table().table_name(&table.name).send().await {
        Ok(answer) => Ok(answer.table),
        Err(error)
            if error.as_service_error().is_some_and(DescribeTableError::is_resource_not_found_exception) =>
        {
            Ok(None)
        }
        Err(error) => Err(dynamo_db(format!("describing table {}", table.name))(error.into())),
    }
}

/// Waits until the table can be used.
async fn ready(client: &Client, table: &Table) -> Result<sdk::TableDescription> {
    for _ in 0..POLLS_MAX {
        if let Some(found) = describe(client, table).await?
            && found.table_status == Some(TableStatus::Active)
        {
            return Ok(found);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
    Err(dynamo_db(format!("making table {}", table.name))("it does not become ACTIVE".into()))
}

async fn request(client: &Client, table: &Table) -> Result<()> {
    let doing = || format!("making table {}", table.name);
    let built = |error: aws_sdk_dynamodb::error::BuildError| dynamo_db(doing())(error.into());
    let mut create =
        client.create_table().table_name(&table.name).billing_mode(sdk::BillingMode::PayPerRequest);
    for (name, r#type) in &table.attributes {
        let definition =
            sdk::AttributeDefinition::builder().attribute_name(name).attribute_type(r#type.clone());
        create = create.attribute_definitions(definition.build().map_err(built)?);
    }
    for element in key(&table.key) {
        create = create.key_schema(element.map_err(built)?);
    }
    for index in &table.indexes {
        create = create.global_secondary_indexes(global_index(index).map_err(built)?);
    }
    if let Some(view) = &table.stream {
        let stream = sdk::StreamSpecification::builder().stream_enabled(true).stream_view_type(view.clone());
        create = create.stream_specification(stream.build().map_err(built)?);
    }
    match create.send().await {
        Ok(_) => Ok(()),
        // Another caller created it in between. It is compared below like any existing table.
        Err(error)
            if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(dynamo_db(doing())(error.into())),
    }
}

fn key(
    elements: &[(String, KeyType)],
) -> impl Iterator<Item = std::result::Result<sdk::KeySchemaElement, aws_sdk_dynamodb::error::BuildError>> {
    elements.iter().map(|(name, kind)| {
        sdk::KeySchemaElement::builder().attribute_name(name).key_type(kind.clone()).build()
    })
}

fn global_index(
    index: &Index,
) -> std::result::Result<sdk::GlobalSecondaryIndex, aws_sdk_dynamodb::error::BuildError> {
    let projection = match &index.projection {
        Projection::All => sdk::Projection::builder().projection_type(sdk::ProjectionType::All),
        Projection::KeysOnly => sdk::Projection::builder().projection_type(sdk::ProjectionType::KeysOnly),
        Projection::Include(attributes) => sdk::Projection::builder()
            .projection_type(sdk::ProjectionType::Include)
            .set_non_key_attributes(Some(attributes.clone())),
    };
    sdk::GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key(&index.key).collect::<std::result::Result<_, _>>()?))
        .projection(projection.build())
        .build()
}

/// Tells the table which attribute has the time at which items expire.
async fn expire(client: &Client, table: &Table) -> Result<()> {
    let Some(time_to_live) = &table.time_to_live else { return Ok(()) };
    let doing = || format!("setting the time to live of table {}", table.name);
    let now = client
        .describe_time_to_live()
        .table_name(&table.name)
        .send()
        .await
        .map_err(|error| dynamo_db(doing())(error.into()))?
        .time_to_live_description;
    if now.and_then(|now| now.attribute_name).as_ref() == Some(&time_to_live.attribute) {
        return Ok(());
    }
    let specification = sdk::TimeToLiveSpecification::builder()
        .attribute_name(&time_to_live.attribute)
        .enabled(true)
        .build()
        .map_err(|error| dynamo_db(doing())(error.into()))?;
    let update =
        client.update_time_to_live().table_name(&table.name).time_to_live_specification(specification);
    update.send().await.map(drop).map_err(|error| dynamo_db(doing())(error.into()))
}

/// The difference between a table and the template. An index cannot be changed in place, so data of an older template
/// is refused rather than read wrongly.
fn difference(table: &Table, found: &sdk::TableDescription) -> Option<String> {
    if elements(found.key_schema()) != table.key {
        return Some("its key".to_owned());
    }
    let view = found.stream_specification.as_ref().filter(|stream| stream.stream_enabled);
    if view.and_then(|stream| stream.stream_view_type.as_ref()) != table.stream.as_ref() {
        return Some("its stream".to_owned());
    }
    let indexes = found.global_secondary_indexes();
    for index in &table.indexes {
        let same = |other: &&sdk::GlobalSecondaryIndexDescription| {
            other.index_name() == Some(&index.name)
                && elements(other.key_schema()) == index.key
                && other.projection().is_some_and(|projection| projects(&index.projection, projection))
        };
        if !indexes.iter().any(|other| same(&other)) {
            return Some(format!("index {}", index.name));
        }
    }
    let unknown = indexes
        .iter()
        .filter_map(|other| other.index_name())
        .find(|name| !table.indexes.iter().any(|index| index.name == *name));
    unknown.map(|name| format!("index {name} more"))
}

fn elements(schema: &[sdk::KeySchemaElement]) -> Vec<(String, KeyType)> {
    schema.iter().map(|element| (element.attribute_name.clone(), element.key_type.clone())).collect()
}

fn projects(wanted: &Projection, found: &sdk::Projection) -> bool {
    match wanted {
        Projection::All => found.projection_type == Some(sdk::ProjectionType::All),
        Projection::KeysOnly => found.projection_type == Some(sdk::ProjectionType::KeysOnly),
        Projection::Include(attributes) => {
            let mut wanted: Vec<_> = attributes.iter().collect();
            let mut found: Vec<_> = found.non_key_attributes().iter().collect();
            wanted.sort();
            found.sort();
            wanted == found
        }
    }
}
