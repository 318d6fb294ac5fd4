//! HTTP/1.1, with TLS by rustls over ring: one way to send, with a bound on everything.

use std::error::Error;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;

use crate::BuildError;
use crate::error::chain;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept. API Gateway closes its own after some minutes; whoever uses one that was just
/// closed has to try again.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
/// Bodies over this are compressed: below, gzip saves no packet.
const COMPRESS_OVER: usize = 1_024;
/// Longest key, as the service takes it.
const MAX_KEY: usize = 256;

/// Sends requests to one service.
#[derive(Debug)]
pub(crate) struct Http {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    authorization: HeaderValue,
    /// Something on the way does not pass on what is compressed.
    sends_plain: AtomicBool,
}

/// A body, made once: whoever sends it again sends the same bytes, by which the service knows a report again.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    json: Bytes,
    /// The same compressed, where that is worth it.
    packed: Option<Bytes>,
    /// Bytes of JSON, as the service counts them.
    pub(crate) json_bytes: usize,
}

impl Body {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // Nothing that is sent can fail to be JSON: maps have texts as keys, and results are values already.
        let json = serde_json::to_vec(value).unwrap_or_default();
        let packed = (json.len() > COMPRESS_OVER).then(|| gzip(&json).ok()).flatten();
        Self { json_bytes: json.len(), json: json.into(), packed: packed.map(Bytes::from) }
    }
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// An answer. Its body may have been too large, or broken off, although its head tells something.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Result<Bytes, String>,
}

impl Http {
    pub(crate) fn new(url: &str, key: &str) -> Result<Self, BuildError> {
        let wrong_url = || BuildError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong_url())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err(wrong_url()),
        };
        let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if has_user || uri.query().is_some() || url.contains('#') {
            return Err(wrong_url());
        }
        let is_key = (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| BuildError::Key)?;
        authorization.set_sensitive(true);
        if !is_key {
            return Err(BuildError::Key);
        }

        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let connector = tls(is_https)?.https_or_http().enable_http1().wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        let base = url.trim_end_matches('/').to_owned();
        Ok(Self { client, base, authorization, sends_plain: AtomicBool::new(false) })
    }

    /// Sends one request, once; a compressed one that cannot be read is sent again as it is, since gateways and proxies
    /// differ in what they make of it. The error is for a log.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Body,
        timeout: Duration,
        max_answer: usize,
    ) -> Result<Answer, String> {
        let plain = (&body.json, false);
        let Some(packed) = body.packed.as_ref().filter(|_| !self.sends_plain.load(Ordering::Relaxed)) else {
            return self.exchange(method, path, plain, timeout, max_answer).await;
        };
        let cannot_read = |answer: &Result<Answer, String>| {
            let status = answer.as_ref().map(|answer| answer.status);
            matches!(status, Ok(StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE))
        };
        let answer = self.exchange(method, path, (packed, true), timeout, max_answer).await;
        if !cannot_read(&answer) {
            return answer;
        }
        let answer = self.exchange(method, path, plain, timeout, max_answer).await;
        if answer.is_ok() && !cannot_read(&answer) {
            tracing::info!(
                "compressed requests do not arrive as they are sent; from now on none is compressed"
            );
            self.sends_plain.store(true, Ordering::Relaxed);
        }
        answer
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        (bytes, is_gzip): (&Bytes, bool),
        timeout: Duration,
        max_answer: usize,
    ) -> Result<Answer, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, &self.authorization)
            .header(ACCEPT, "application/json, application/problem+json")
            .header(USER_AGENT, concat!("jobledger-worker/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json");
        if is_gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let request =
            request.body(Full::new(bytes.clone())).map_err(|error| format!("not a request: {error}"))?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| told(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, max_answer).collect().await;
            let body = body.map(http_body_util::Collected::to_bytes).map_err(|error| {
                format!("the answer broke off, or is over {max_answer} bytes: {}", chain(error.as_ref()))
            });
            Ok(Answer { status: head.status, retry_after: retry_after(&head.headers), body })
        };
        let in_time = tokio::time::timeout(timeout, exchange).await;
        in_time.unwrap_or_else(|_| Err(format!("no answer within {timeout:?}")))
    }
}

fn told(error: &legacy::Error) -> String {
    chain(error as &dyn Error)
}

/// Seconds only: a date would be by another clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// TLS as this machine trusts others; to a service without TLS, a machine without certificates can speak, too.
fn tls(
    is_https: bool,
) -> Result<HttpsConnectorBuilder<hyper_rustls::builderstates::WantsSchemes>, BuildError> {
    let provider = rustls::crypto::ring::default_provider();
    if is_https {
        return HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(BuildError::Roots);
    }
    let config = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::Roots(io::Error::other(error)))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(HttpsConnectorBuilder::new().with_tls_config(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_keys_are_checked_when_the_worker_is_built() {
        assert!(Http::new("http://127.0.0.1:8080/", "k").is_ok());
        assert_eq!(Http::new("http://h/stage/", "k").unwrap().base, "http://h/stage");
        for bad in ["", "h", "/v1", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h/#a"] {
            assert!(matches!(Http::new(bad, "k"), Err(BuildError::Url(_))), "{bad}");
        }
        let long = "k".repeat(257);
        for bad in ["", "a b", "a\n", "ä", long.as_str()] {
            assert!(matches!(Http::new("http://h", bad), Err(BuildError::Key)), "{bad}");
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let shown = format!("{:?}", Http::new("http://h", "very-secret").unwrap());
        assert!(!shown.contains("very-secret"), "{shown}");
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let read = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]))
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(read("-1"), None);
    }
}
