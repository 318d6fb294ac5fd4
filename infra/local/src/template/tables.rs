//! `AWS::DynamoDB::Table`.

use aws_sdk_dynamodb::types::{KeyType, ScalarAttributeType, StreamViewType};
use serde::Deserialize;
use serde_json::Value;

use super::TemplateError;
use super::intrinsics::Scope;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its logical id.
    pub id: String,
    /// The name it has in DynamoDB.
    pub name: String,
    /// The types of the attributes that keys are made of.
    pub attributes: Vec<(String, ScalarAttributeType)>,
    /// The attributes of its key.
    pub key: Vec<(String, KeyType)>,
    /// Its global secondary indexes.
    pub indexes: Vec<Index>,
    /// The view of its stream, if it has one.
    pub stream: Option<StreamViewType>,
    /// The attribute with the time at which an item expires, if there is one.
    pub time_to_live: Option<TimeToLive>,
}

/// A global secondary index. Up to four attributes make its partition key, and up to four its sort key.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// The attributes of its key, in order.
    pub key: Vec<(String, KeyType)>,
    /// The attributes that it holds beside the keys.
    pub projection: Projection,
}

/// The attributes that an index holds beside the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// Everything.
    All,
    /// Nothing.
    KeysOnly,
    /// These attributes.
    Include(Vec<String>),
}

/// The attribute with the time at which an item expires, in seconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeToLive {
    /// The attribute's name.
    pub attribute: String,
}

/// The properties for backups, encryption and billing.
const ONLY_ON_AWS: [&str; 7] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "TableClass",
    "Tags",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Properties {
    #[serde(rename = "TableName")]
    _table_name: Option<String>,
    billing_mode: BillingMode,
    attribute_definitions: Vec<AttributeDefinition>,
    key_schema: Vec<KeyElement>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexProperties>,
    stream_specification: Option<StreamSpecification>,
    time_to_live_specification: Option<TimeToLiveSpecification>,
}

/// Provisioned capacity is refused, because nothing here would enforce it.
#[derive(Deserialize)]
enum BillingMode {
    #[serde(rename = "PAY_PER_REQUEST")]
    PayPerRequest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct AttributeDefinition {
    attribute_name: String,
    attribute_type: AttributeType,
}

#[derive(Clone, Copy, Deserialize)]
enum AttributeType {
    S,
    N,
    B,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct KeyElement {
    attribute_name: String,
    key_type: KeyElementType,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum KeyElementType {
    Hash,
    Range,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct IndexProperties {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: ProjectionProperties,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ProjectionProperties {
    projection_type: ProjectionType,
    non_key_attributes: Option<Vec<String>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ProjectionType {
    All,
    KeysOnly,
    Include,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct StreamSpecification {
    stream_view_type: ViewType,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ViewType {
    KeysOnly,
    NewImage,
    OldImage,
    NewAndOldImages,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct TimeToLiveSpecification {
    attribute_name: String,
    enabled: bool,
}

/// Reads one table.
pub(super) fn read(id: &str, resource: &Value, scope: &Scope<'_>) -> Result<Table, TemplateError> {
    let properties = resource.get("Properties").ok_or_else(|| TemplateError::new(id, "has no Properties"))?;
    let properties = scope.resolve(id, &super::without(properties, &ONLY_ON_AWS))?;
    let properties: Properties = super::read(id, properties)?;
    let BillingMode::PayPerRequest = properties.billing_mode;
    Ok(Table {
        id: id.to_owned(),
        name: scope.table_name(id)?,
        attributes: properties.attribute_definitions.into_iter().map(attribute).collect(),
        key: key(properties.key_schema),
        indexes: properties
            .global_secondary_indexes
            .into_iter()
            .map(|index| self::index(id, index))
            .collect::<Result<_, _>>()?,
        stream: properties.stream_specification.map(|stream| view(stream.stream_view_type)),
        time_to_live: properties
            .time_to_live_specification
            .filter(|ttl| ttl.enabled)
            .map(|ttl| TimeToLive { attribute: ttl.attribute_name }),
    })
}

fn attribute(definition: AttributeDefinition) -> (String, ScalarAttributeType) {
    let r#type = match definition.attribute_type {
        AttributeType::S => ScalarAttributeType::S,
        AttributeType::N => ScalarAttributeType::N,
        AttributeType::B => ScalarAttributeType::B,
    };
    (definition.attribute_name, r#type)
}

fn key(schema: Vec<KeyElement>) -> Vec<(String, KeyType)> {
    let element = |element: KeyElement| match element.key_type {
        KeyElementType::Hash => (element.attribute_name, KeyType::Hash),
        KeyElementType::Range => (element.attribute_name, KeyType::Range),
    };
    schema.into_iter().map(element).collect()
}

fn index(id: &str, properties: IndexProperties) -> Result<Index, TemplateError> {
    let ProjectionProperties { projection_type, non_key_attributes } = properties.projection;
    let projection = match (projection_type, non_key_attributes) {
        (ProjectionType::All, None) => Projection::All,
        (ProjectionType::KeysOnly, None) => Projection::KeysOnly,
        (ProjectionType::Include, Some(attributes)) => Projection::Include(attributes),
        (ProjectionType::Include, None) | (ProjectionType::All | ProjectionType::KeysOnly, Some(_)) => {
            let at = format!("{id}.{}.Projection", properties.index_name);
            return Err(TemplateError::new(at, "NonKeyAttributes belong to INCLUDE, and to nothing else"));
        }
    };
    Ok(Index { name: properties.index_name, key: key(properties.key_schema), projection })
}

fn view(view: ViewType) -> StreamViewType {
    match view {
        ViewType::KeysOnly => StreamViewType::KeysOnly,
        ViewType::NewImage => StreamViewType::NewImage,
        ViewType::OldImage => StreamViewType::OldImage,
        ViewType::NewAndOldImages => StreamViewType::NewAndOldImages,
    }
}
