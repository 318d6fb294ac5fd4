//! Signs requests to a store that AWS protects: Signature Version 4.

use std::time::SystemTime;

use aws_sdk_dynamodb::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use super::BoxError;
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::store::ConfigError;

/// The variable that says how requests are signed.
const AUTH: &str = "METRICS_QUERY_AUTH";
/// The variable that names the AWS service that is asked.
const SERVICE: &str = "METRICS_QUERY_SERVICE";
/// Amazon Managed Service for Prometheus.
const DEFAULT_SERVICE: &str = "aps";

/// Signs requests with the credentials of the function.
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
    service: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// A header to add.
pub(super) type Header = (&'static str, String);

impl Signer {
    /// The signer that the environment variables ask for; `None`: requests are not signed.
    pub(super) fn of(environment: &Environment) -> Result<Option<Self>, ConfigError> {
        let var = |name: &str| environment.vars.get(name).filter(|value| !value.is_empty()).cloned();
        match var(AUTH).as_deref() {
            None | Some("none") => return Ok(None),
            Some("sigv4") => {}
            Some(_) => return Err(ConfigError::new(AUTH, "none or sigv4")),
        }
        // Lambda gives a function its credentials in these variables, for as long as the environment lives.
        let needed = |name: &'static str| {
            var(name).ok_or(ConfigError::new(name, "set, as METRICS_QUERY_AUTH is sigv4"))
        };
        let (id, secret) = (needed("AWS_ACCESS_KEY_ID")?, needed("AWS_SECRET_ACCESS_KEY")?);
        let credentials = Credentials::new(id, secret, var("AWS_SESSION_TOKEN"), None, "environment");
        let service = var(SERVICE).unwrap_or_else(|| DEFAULT_SERVICE.to_owned());
        Ok(Some(Self { credentials, region: needed("AWS_REGION")?, service }))
    }

    /// The headers that sign a POST of this body.
    pub(super) fn headers(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        now: Timestamp,
    ) -> Result<Vec<Header>, BoxError> {
        let identity = self.credentials.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::from(now.to_chrono()))
            .settings(SigningSettings::default())
            .build()?;
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new("POST", url, headers.iter().copied(), body);
        let signed = request.and_then(|request| sign(request, &params.into()));
        let (instructions, _) = signed?.into_parts();
        let headers = instructions.headers().map(|(name, value)| (name, value.to_owned()));
        let mut found = Vec::new();
        for (name, value) in headers {
            let known = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];
            let known = known.into_iter().find(|known| *known == name);
            found.push((known.ok_or_else(|| format!("the signer adds {name}"))?, value));
        }
        Ok(found)
    }
}
