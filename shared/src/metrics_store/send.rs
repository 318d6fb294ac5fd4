//! Sends requests to a metrics store, with a bound on what is read.

use std::time::Duration;

use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::sign::Signer;
use super::{MetricsError, URL};
use crate::domain::Timestamp;
use crate::environment::Environment;
use crate::store::ConfigError;

/// Most bytes of an answer: those that an answer of this service may have.
const MAX_BYTES: usize = 5_000_000;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The variable with the token that the store wants to see, if any.
const TOKEN: &str = "METRICS_QUERY_TOKEN";
const FORM: &str = "application/x-www-form-urlencoded";

/// Sends requests to one store.
#[derive(Debug)]
pub(super) struct Sender {
    /// Without a slash at its end.
    base: String,
    host: String,
    token: Option<String>,
    signer: Option<Signer>,
    connector: Connector,
}

impl Sender {
    pub(super) fn new(url: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let wrong = ConfigError::new(URL, "http:// or https:// with a host, without a query");
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains(['?', '#']);
        if host.is_empty() || host.contains('@') || !is_plain {
            return Err(wrong);
        }
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
        let connector = Connector::builder().connector_settings(settings).tls_provider(provider).build();
        let token = environment.vars.get(TOKEN).filter(|token| !token.is_empty()).cloned();
        Ok(Self {
            base: url.trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            token,
            signer: Signer::of(environment)?,
            connector,
        })
    }

    /// Sends a form, and reads the answer.
    pub(super) async fn send(
        &self,
        path: &str,
        form: &str,
        now: Timestamp,
    ) -> Result<(u16, Vec<u8>), MetricsError> {
        let url = format!("{}/api/v1/{path}", self.base);
        let headers = [("host", self.host.as_str()), ("content-type", FORM)];
        let mut request = HttpRequest::new(SdkBody::from(form));
        request.set_method("POST").map_err(unreachable)?;
        request.set_uri(url.as_str()).map_err(unreachable)?;
        for (name, value) in headers {
            request.headers_mut().insert(name, value.to_owned());
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert("authorization", format!("Bearer {token}"));
        }
        if let Some(signer) = &self.signer {
            let signed =
                signer.headers(&url, &headers, form.as_bytes(), now).map_err(MetricsError::Unreachable)?;
            for (name, value) in signed {
                request.headers_mut().insert(name, value);
            }
        }
        let answer = self.connector.call(request).await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let (mut body, mut chunks) = (Vec::new(), ByteStream::new(answer.into_body()));
        while let Some(chunk) = chunks.try_next().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(MetricsError::Refused(format!("with over {MAX_BYTES} bytes; ask for less")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> MetricsError {
    MetricsError::Unreachable(error.into())
}
