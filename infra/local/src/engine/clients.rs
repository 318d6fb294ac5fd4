//! SDK clients of an endpoint on this machine.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};

use crate::template::REGION;

/// The credentials that an engine gets if it checks nothing.
pub(crate) const ACCESS_KEY: &str = "local";
/// Its other half.
pub(crate) const SECRET_KEY: &str = "local";

/// Clients of one endpoint, over one connection pool.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    pub(crate) tables: aws_sdk_dynamodb::Client,
    pub(crate) streams: aws_sdk_dynamodbstreams::Client,
}

impl Clients {
    pub(crate) fn new(endpoint: &str) -> Self {
        // Without TLS: both ends are on one machine.
        let http = aws_smithy_http_client::Builder::new().build_http();
        let credentials = Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "the local stack");
        let tables = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(credentials.clone())
            .http_client(http.clone())
            .build();
        let streams = aws_sdk_dynamodbstreams::Config::builder()
            .behavior_version(aws_sdk_dynamodbstreams::config::BehaviorVersion::latest())
            .region(aws_sdk_dynamodbstreams::config::Region::from_static(REGION))
            .endpoint_url(endpoint)
            .credentials_provider(credentials)
            .http_client(http)
            .build();
        Self {
            tables: aws_sdk_dynamodb::Client::from_conf(tables),
            streams: aws_sdk_dynamodbstreams::Client::from_conf(streams),
        }
    }
}
